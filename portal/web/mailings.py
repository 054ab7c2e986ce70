"""Mail actions of staff: preview, resend, retry, pause."""

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.db.types import new_id
from portal.domain.batches import batches
from portal.domain.errors import PortalError
from portal.domain.invitations import invitations
from portal.domain.mail import invitation_mail
from portal.domain.mail import resend as mailings
from portal.domain.mail.invitation_mail import Matter
from portal.forms.invitations import PreviewForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.mail import invitation_messages
from portal.models import Batch, Invitation, Role

blueprint = Blueprint("mailings", __name__, url_prefix="/admin")

SOMEBODY = "ana@example.org"


@blueprint.post("/mails/preview")
@staff_required(Role.ADMIN)
def preview() -> str:
    """Preview a mail, as a page."""
    return render_template("mailings/preview.html", **_preview())


@blueprint.post("/mails/preview/fragment")
@staff_required(Role.ADMIN)
def preview_fragment() -> str:
    """Preview a mail, as a fragment within the form."""
    return render_template("mailings/_preview.html", **_preview())


@blueprint.post("/invitations/<uuid:id>/mails")
@staff_required(Role.ADMIN)
def resend(id: UUID) -> ResponseReturnValue:
    """Resend the mail of one invitation."""
    by = current_account()
    invitation = invitations.get_within_reach(id, by=by)
    try:
        mailings.resend(invitation, by=by, origin=origin(), now=utcnow())
    except PortalError as refusal:
        flash(str(refusal))
    else:
        flash("It will be sent again.")
    return redirect(url_for("invitations.show", id=id), 303)


@blueprint.post("/batches/<uuid:id>/mails")
@staff_required(Role.ADMIN)
def resend_batch(id: UUID) -> ResponseReturnValue:
    """Resend the mails of a batch to everyone who hasn't redeemed."""
    queued = mailings.resend_batch(_batch(id), by=current_account(), origin=origin(), now=utcnow())
    flash(f"Will be sent again: {queued:,}.")
    return redirect(url_for("batches.show", id=id), 303)


@blueprint.post("/batches/<uuid:id>/mails/retry")
@staff_required(Role.ADMIN)
def retry_batch(id: UUID) -> ResponseReturnValue:
    """Requeue the failed mails of a batch."""
    back = mailings.retry_batch(_batch(id), by=current_account(), now=utcnow())
    flash(f"Will be tried again: {back:,}.")
    return redirect(url_for("batches.show", id=id), 303)


@blueprint.post("/batches/<uuid:id>/mails/pause")
@staff_required(Role.ADMIN)
def pause_batch(id: UUID) -> ResponseReturnValue:
    """Pause the mails of a batch."""
    mailings.pause(_batch(id), by=current_account(), origin=origin(), now=utcnow())
    flash("Its mails wait until you let them go on.")
    return redirect(url_for("batches.show", id=id), 303)


@blueprint.post("/batches/<uuid:id>/mails/resumption")
@staff_required(Role.ADMIN)
def resume_batch(id: UUID) -> ResponseReturnValue:
    """Resume the mails of a batch."""
    mailings.resume(_batch(id), by=current_account(), origin=origin(), now=utcnow())
    flash("Its mails go on.")
    return redirect(url_for("batches.show", id=id), 303)


def _batch(id: UUID) -> Batch:
    return batches.get(id, by=current_account())


def _preview() -> dict[str, Any]:
    form = PreviewForm()
    if not form.validate():
        return {"form": form}
    recipient = form.recipient.data or SOMEBODY
    written = Invitation(
        id=new_id(),
        created_by=current_account(),
        recipient_name=form.recipient_name.data or None,
        expires_at=form.expires_at(utcnow()),
    )
    subject, message = form.subject.data or "", form.message.data or ""
    matter = Matter(written, subject.strip(), message.strip(), form.language.data)
    return {
        "form": form,
        "recipient": recipient,
        "message": invitation_messages.preview(matter, recipient),
        "unknown": invitation_mail.unknown_fields(f"{subject}\n{message}"),
    }
