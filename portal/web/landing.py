"""The landing page, where invitees type their code, and the welcome page behind it."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.errors import (
    CodeRefused,
    InvalidEmail,
    LockedOut,
    PortalError,
    RecipientRequired,
    RecipientUnproven,
    StaffInvitation,
    VerificationRefused,
)
from portal.domain.invitations import codes, recipient_verification, redemptions
from portal.domain.invitations.recipient_verification import Proof
from portal.domain.lockout import lockout
from portal.forms.landing import RecipientFields, RedeemForm, ValidationForm
from portal.http.device import origin
from portal.http.guards import current_invitee, current_session, invitee_required, public

blueprint = Blueprint("landing", __name__)

REFUSALS = (
    *(CodeRefused, InvalidEmail, RecipientRequired, RecipientUnproven),
    *(StaffInvitation, VerificationRefused),
)


@blueprint.get("/")
@public
def index() -> ResponseReturnValue:
    """Show the form for a code. `?code=` fills it in and validates it, but never redeems."""
    form = RedeemForm(request.args)
    if current_invitee() and not form.code.data:
        return redirect(url_for("landing.welcome"))
    lockout.require_unlocked(origin(), now=utcnow())
    return render_template("landing/index.html", form=form, **_answer(form, by_link=True))


@blueprint.post("/validation")
@public
def validation() -> str:
    """Validate a code as it is typed; the response is a fragment."""
    form = ValidationForm()
    form.validate_on_submit()
    return render_template("landing/_validation.html", form=form, **_answer(form))


@blueprint.post("/")
@public
def redeem() -> ResponseReturnValue:
    """Redeem the code, and sign the invitee in."""
    form = RedeemForm()
    refusal: PortalError | None = None
    if form.validate_on_submit():
        try:
            invitee = redemptions.admit(
                form.code.data or "",
                origin=origin(),
                now=utcnow(),
                email=form.email.data or None,
                proof=_proof(form),
            )
        except REFUSALS as error:
            refusal = error
        else:
            session.permanent = True
            session["invitee"] = invitee.get_id()
            return redirect(url_for("landing.welcome"), 303)
    return render_template("landing/index.html", form=form, refusal=refusal), 422


@blueprint.get("/welcome")
@invitee_required
def welcome() -> str:
    """Show the page that a code leads to."""
    return render_template("landing/welcome.html", admitted=current_invitee())


@blueprint.post("/welcome/departure")
@invitee_required
def depart() -> ResponseReturnValue:
    """Sign the invitee out."""
    if admitted := current_invitee():
        accounts.sign_out(admitted, origin=origin(), now=utcnow())
    session.pop("invitee", None)
    return redirect(url_for("landing.index"), 303)


def _answer(form: RedeemForm | ValidationForm, *, by_link: bool = False) -> dict[str, object]:
    """Template values for a code that is being typed, or that came in a link."""
    code = form.code.data or ""
    if not code.strip():
        return {"offer": None, "refusal": None}
    verb = redemptions.visit if by_link else redemptions.check
    try:
        if not by_link:
            codes.require_complete(code)
        offer = verb(code, origin=origin(), now=utcnow())
    except CodeRefused as refusal:
        return {"offer": None, "refusal": refusal}
    except LockedOut:
        # This address has looked up too many codes. That does not matter for a link, since `index`
        # has checked that this device may still redeem.
        if not by_link:
            raise
        return {"offer": None, "refusal": None}
    is_proven = recipient_verification.proven_address(offer, _proof(form)) is not None
    return {"offer": offer, "refusal": None, "is_proven": is_proven}


def _proof(form: RecipientFields) -> Proof:
    """The evidence that a personal invitation is for this visitor."""
    signed_in = current_session()
    return Proof(
        code=form.mailed_code.data or "",
        link=form.proof.data or "",
        account=signed_in.account if signed_in else None,
    )
