"""Bulk actions on the invitations selected in a list."""

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.config import settings
from portal.domain.batches import bulk
from portal.domain.errors import BadInput, NothingChosen, PortalError
from portal.domain.mail import resend as mailings
from portal.forms.batches import SelectionExtensionForm, SelectionForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.models import Role
from portal.web.redirects import local_path

blueprint = Blueprint("selections", __name__, url_prefix="/admin/selection")


@blueprint.post("/revocation/question")
@staff_required(Role.ADMIN)
def ask_revocation() -> str:
    """Ask for confirmation; a POST, since a hundred ids are too long for a URL."""
    return render_template("selections/revocation.html", **_asked(SelectionForm()))


@blueprint.post("/revocation")
@staff_required(Role.ADMIN)
def revoke() -> ResponseReturnValue:
    """Revoke them permanently."""
    ids = _ids(SelectionForm())
    revoked = bulk.revoke(ids, by=current_account(), origin=origin(), now=utcnow())
    flash(f"Revoked: {revoked}. They let nobody in any more.")
    return redirect(_back(), 303)


@blueprint.post("/extension/question")
@staff_required(Role.ADMIN)
def ask_extension() -> str:
    """Show the form for a new expiry."""
    asked = _asked(SelectionForm())
    form = SelectionExtensionForm(formdata=None, days=settings.invitation_days)
    return render_template("selections/extension.html", **asked | {"form": form})


@blueprint.post("/extension")
@staff_required(Role.ADMIN)
def extend() -> ResponseReturnValue:
    """Set a new expiry for those that are not revoked."""
    form, now = SelectionExtensionForm(), utcnow()
    if form.validate_on_submit():
        try:
            ends, by = form.expires_at(now), current_account()
            extended = bulk.extend(_ids(form), expires_at=ends, by=by, origin=origin(), now=now)
        except PortalError as refusal:
            form.refusal = str(refusal)
        else:
            flash(f"Extended: {extended}.")
            return redirect(_back(), 303)
    return render_template("selections/extension.html", **_asked(form)), 422


@blueprint.post("/mails/question")
@staff_required(Role.ADMIN)
def ask_resend() -> str:
    """Ask for confirmation, with the recipients of the mail."""
    return render_template("selections/mails.html", **_asked(SelectionForm()))


@blueprint.post("/mails")
@staff_required(Role.ADMIN)
def resend() -> ResponseReturnValue:
    """Resend to everyone who hasn't redeemed and may be written to."""
    ids = _ids(SelectionForm())
    queued = mailings.resend_chosen(ids, by=current_account(), origin=origin(), now=utcnow())
    flash(f"Will be sent again: {queued}. Left out: {len(ids) - queued}.")
    return redirect(_back(), 303)


@blueprint.post("/cards")
@staff_required(Role.ADMIN)
def cards() -> str:
    """Show their codes as cards to print and cut."""
    ids = _ids(SelectionForm())
    shown = bulk.cards(ids, by=current_account(), origin=origin(), now=utcnow())
    return render_template("selections/cards.html", cards=shown, back=_back())


def _asked(form: SelectionForm) -> dict[str, Any]:
    chosen = bulk.find(_ids(form), by=current_account())
    return {"chosen": chosen, "form": form, "back": _back()}


def _ids(form: SelectionForm) -> list[UUID]:
    if not form.invitation.validate(form):
        raise BadInput
    if not form.invitation.data:
        raise NothingChosen
    ids: list[UUID] = form.invitation.data
    return ids


def _back() -> str:
    return local_path(request.form.get("back")) or url_for("invitations.index")
