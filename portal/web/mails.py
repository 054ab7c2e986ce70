"""The outbox, for the owner."""

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.errors import BadInput
from portal.domain.mail import outbox, resend
from portal.forms.mailing import MailListForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.mail import delivery
from portal.models import MailState, Role

blueprint = Blueprint("mails", __name__, url_prefix="/admin/mails")

SHOWN = 50


@blueprint.get("")
@staff_required(Role.OWNER)
def index() -> str:
    """List mails, newest first, filtered by state or batch."""
    return render_template(
        "mails/index.html",
        counts=outbox.counts(),
        is_set_up=delivery.is_set_up(),
        paused_at=resend.paused_at(),
        **_found(),
    )


@blueprint.get("/<uuid:id>")
@staff_required(Role.OWNER)
def show(id: UUID) -> str:
    """Show one mail as it would be sent now, with its code masked."""
    mail = outbox.get(id)
    matter = delivery.matters([mail]).get(id)
    return render_template(
        "mails/show.html",
        mail=mail,
        message=delivery.masked(mail, matter) if matter else None,
        obstacle=matter.obstacle(mail.kind, utcnow()) if matter else None,
        is_masked=matter is not None and matter.has_secrets,
        may_show=resend.may_show(mail, by=current_account()),
    )


@blueprint.post("/<uuid:id>/code")
@staff_required(Role.OWNER)
def reveal(id: UUID) -> str:
    """Show the mail with its code, which the audit log records."""
    mail = outbox.get(id)
    matter = resend.show(mail, by=current_account(), origin=origin(), now=utcnow())
    return render_template(
        "mails/show.html",
        mail=mail,
        message=delivery.render(mail, matter, proves=False),
        obstacle=matter.obstacle(mail.kind, utcnow()),
    )


@blueprint.post("/<uuid:id>/retry")
@staff_required(Role.OWNER)
def retry(id: UUID) -> ResponseReturnValue:
    """Requeue a failed mail."""
    resend.retry(outbox.get(id), by=current_account(), now=utcnow())
    flash("It will be sent again.")
    return redirect(url_for("mails.index"), 303)


@blueprint.post("/retry")
@staff_required(Role.OWNER)
def retry_all() -> ResponseReturnValue:
    """Requeue all failed mails."""
    back = resend.retry_all(by=current_account(), now=utcnow())
    flash(f"Will be tried again: {back:,}.")
    return redirect(url_for("mails.index"), 303)


@blueprint.post("/pause")
@staff_required(Role.OWNER)
def pause() -> ResponseReturnValue:
    """Pause the mails of all batches."""
    resend.pause_all(by=current_account(), origin=origin(), now=utcnow())
    flash("Mails of batches wait until you let them go on. Single mails are still sent.")
    return redirect(url_for("mails.index"), 303)


@blueprint.post("/resumption")
@staff_required(Role.OWNER)
def resume() -> ResponseReturnValue:
    """Resume the mails of all batches."""
    resend.resume_all(by=current_account(), origin=origin(), now=utcnow())
    flash("Mails of batches go on.")
    return redirect(url_for("mails.index"), 303)


def _found() -> dict[str, Any]:
    form = MailListForm(request.args)
    if not form.validate():
        raise BadInput("This link to the mails is broken. Start again from the first page.")
    state, batch, before = form.state.data, form.batch.data, form.before.data
    mails = outbox.latest(
        SHOWN + 1,
        state=MailState(state) if state else None,
        batch=UUID(batch) if batch else None,
        before=UUID(before) if before else None,
    )
    view = {"state": state or None, "batch": batch or None}
    return {"form": form, "mails": mails[:SHOWN], "more": len(mails) > SHOWN, "view": view}
