"""Requests for an invitation, and the queue in which staff decide on them."""

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.config import settings
from portal.domain.errors import BadInput, NotFound
from portal.domain.invitations import requests
from portal.forms.requests import DecisionForm, RequestForm
from portal.http.device import origin
from portal.http.guards import current_account, public, staff_required
from portal.models import RequestState, Role

blueprint = Blueprint("requests", __name__)

SHOWN = 100


@blueprint.get("/request")
@public
def new() -> str:
    """Show the form for people without a code."""
    _require_switched_on()
    return render_template("requests/new.html", form=RequestForm(formdata=None))


@blueprint.post("/request")
@public
def create() -> ResponseReturnValue:
    """Store a request. The response never says whether the address is known."""
    _require_switched_on()
    form = RequestForm()
    if not form.validate_on_submit():
        return render_template("requests/new.html", form=form), 422
    requests.ask(
        name=(form.name.data or "").strip(),
        email=form.email.data or "",
        reason=(form.reason.data or "").strip(),
        origin=origin(),
        now=utcnow(),
    )
    return redirect(url_for("requests.received"), 303)


@blueprint.get("/request/received")
@public
def received() -> str:
    """Show the confirmation, the same for everybody."""
    _require_switched_on()
    return render_template("requests/received.html")


@blueprint.get("/admin/requests")
@blueprint.get("/admin/requests/<any(waiting,approved,declined):state>")
@staff_required(Role.ADMIN)
def index(state: str = RequestState.WAITING) -> str:
    """List the requests in one state."""
    chosen = RequestState(state)
    found = requests.in_state(chosen, count=SHOWN)
    return render_template(
        "requests/index.html", askers=found, state=chosen, counts=requests.counts()
    )


@blueprint.post("/admin/requests/approval")
@staff_required(Role.ADMIN)
def approve() -> ResponseReturnValue:
    """Approve the selected requests, and invite these people."""
    count = requests.approve(_ticked(), by=current_account(), origin=origin(), now=utcnow())
    flash(f"Invited {count}. Their codes are on the way by e-mail.")
    return redirect(url_for("requests.index"), 303)


@blueprint.post("/admin/requests/refusal")
@staff_required(Role.ADMIN)
def decline() -> ResponseReturnValue:
    """Decline the selected requests; no mail is sent."""
    count = requests.decline(_ticked(), by=current_account(), origin=origin(), now=utcnow())
    flash(f"Declined {count}.")
    return redirect(url_for("requests.index"), 303)


def _require_switched_on() -> None:
    if not settings.invitation_requests:
        raise NotFound


def _ticked() -> list[UUID]:
    form = DecisionForm()
    form.validate_on_submit()
    try:
        return [UUID(ticked) for ticked in form.ids.data or ()]
    except ValueError as error:
        raise BadInput from error
