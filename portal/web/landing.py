"""The landing page, where invitees type their code, and the page behind it."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.devices import origin
from portal.domain import accounts, attempts, codes, redemptions
from portal.domain.errors import (
    CodeRefused,
    LockedOut,
    PortalError,
    RecipientRequired,
    StaffInvitation,
)
from portal.domain.offers import Offer
from portal.forms.landing import RedeemForm, ValidationForm
from portal.guards import current_invitee, invitee_required, public

blueprint = Blueprint("landing", __name__)


@blueprint.get("/")
@public
def index() -> ResponseReturnValue:
    """The field for a code. `?code=` fills it in and validates it; it never redeems."""
    form = RedeemForm(request.args)
    code = form.code.data or ""
    if current_invitee() and not code:
        return redirect(url_for("landing.welcome"))
    attempts.require_unlocked(origin(), now=utcnow())
    return render_template("landing/index.html", form=form, **_answer(code, by_link=True))


@blueprint.post("/validation")
@public
def validation() -> str:
    """The fragment that answers while a code is being typed."""
    form = ValidationForm()
    form.validate_on_submit()
    return render_template("landing/_validation.html", form=form, **_answer(form.code.data or ""))


@blueprint.post("/")
@public
def redeem() -> ResponseReturnValue:
    """Redeem the code, and let the invitee in."""
    form = RedeemForm()
    refusal: PortalError | None = None
    if form.validate_on_submit():
        try:
            invitee = redemptions.admit(
                form.code.data or "", origin=origin(), now=utcnow(), email=form.email.data or None
            )
        except (CodeRefused, RecipientRequired, StaffInvitation) as error:
            refusal = error
        else:
            session.permanent = True
            session["invitee"] = invitee.get_id()
            return redirect(url_for("landing.welcome"), 303)
    return render_template("landing/index.html", form=form, refusal=refusal), 422


@blueprint.get("/welcome")
@invitee_required
def welcome() -> str:
    """Where a code leads to."""
    return render_template("landing/welcome.html", admitted=current_invitee())


@blueprint.post("/welcome/departure")
@invitee_required
def depart() -> ResponseReturnValue:
    """End the invitee's session."""
    if admitted := current_invitee():
        accounts.sign_out(admitted, origin=origin(), now=utcnow())
    session.pop("invitee", None)
    return redirect(url_for("landing.index"), 303)


def _answer(code: str, *, by_link: bool = False) -> dict[str, Offer | PortalError | None]:
    """What there is to say about a code that is being typed, or that came in a link."""
    if not code.strip():
        return {"offer": None, "refusal": None}
    verb = redemptions.visit if by_link else redemptions.check
    try:
        if not by_link:
            codes.require_complete(code)
        return {"offer": verb(code, origin=origin(), now=utcnow()), "refusal": None}
    except CodeRefused as refusal:
        return {"offer": None, "refusal": refusal}
    except LockedOut:
        # The address has looked up too many codes. By a link that is no obstacle: `index` has seen
        # to it that this code may be redeemed.
        if not by_link:
            raise
        return {"offer": None, "refusal": None}
