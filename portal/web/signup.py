"""Sign-up of members, and the confirmation of their e-mail by a mailed code or link."""

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.config import settings
from portal.domain.accounts import registration, verification
from portal.domain.accounts.profile import LANGUAGES, Profile
from portal.domain.errors import NotFound
from portal.forms import Form
from portal.forms.auth import ActivationForm, IdentityForm, SignUpForm
from portal.http.device import origin
from portal.http.guards import account_required, current_account, current_session, public
from portal.models import Purpose
from portal.web.outcomes import refusals_on

blueprint = Blueprint("signup", __name__)

CONFIRMING = "confirming"  # session key: who was sent a code, to fill it in


@blueprint.get("/signup")
@public
def new() -> ResponseReturnValue:
    """Show the sign-up form."""
    form = SignUpForm(formdata=None, code=request.args.get("code", ""))
    return render_template("signup/new.html", form=form, mode=settings.member_registration)


@blueprint.post("/signup")
@public
def create() -> ResponseReturnValue:
    """Sign up. The response is the same if the e-mail has an account already."""
    form = SignUpForm()
    if form.validate_on_submit():
        with refusals_on(form):
            registration.sign_up(
                email=form.email.data or "",
                password=form.password.data or "",
                profile=Profile(language=request.accept_languages.best_match(LANGUAGES) or ""),
                invitation_code=form.code.data,
                origin=origin(),
                now=utcnow(),
            )
            session[CONFIRMING] = form.email.data
            return redirect(url_for("signup.activation"), 303)
    return render_template("signup/new.html", form=form, mode=settings.member_registration), 422


@blueprint.get("/activation")
@public
def activation() -> str:
    """Show the form for the mailed code."""
    form = ActivationForm(formdata=None, identity=session.get(CONFIRMING, ""))
    return render_template("signup/activation.html", form=form, known=session.get(CONFIRMING))


@blueprint.post("/activation")
@public
def activate() -> ResponseReturnValue:
    """Confirm an e-mail by the mailed code."""
    form = ActivationForm()
    if form.validate_on_submit():
        with refusals_on(form):
            registration.activate(
                form.identity.data or "", form.code.data or "", origin=origin(), now=utcnow()
            )
            return _activated()
    known = session.get(CONFIRMING)
    return render_template("signup/activation.html", form=form, known=known), 422


@blueprint.post("/activation/mail")
@public
def resend() -> ResponseReturnValue:
    """Mail a new code. The response is the same for all addresses."""
    form = IdentityForm()
    if form.validate_on_submit():
        registration.resend(form.identity.data or "", origin=origin(), now=utcnow())
        session[CONFIRMING] = form.identity.data
        flash("If there is something to confirm, a new mail is on its way.")
    return redirect(url_for("signup.activation"), 303)


@blueprint.post("/account/email/proof")
@account_required
def prove() -> ResponseReturnValue:
    """Mail a code to one's own unconfirmed address."""
    email = current_account().email
    registration.resend(email, origin=origin(), now=utcnow())
    session[CONFIRMING] = email
    return redirect(url_for("signup.activation"), 303)


@blueprint.get("/activation/<token>")
@public
def link(token: str) -> str:
    """Show the page of a mailed link. It changes nothing, since mail scanners follow links."""
    sent = verification.by_link(token, Purpose.ACTIVATION)
    if sent is None:
        raise NotFound
    return render_template(
        "signup/link.html", form=Form(), sent=sent, lives=sent.lives(utcnow()), token=token
    )


@blueprint.post("/activation/<token>")
@public
def activate_by_link(token: str) -> ResponseReturnValue:
    """Confirm an e-mail by the button on that page."""
    registration.activate_by_link(token, origin=origin(), now=utcnow())
    return _activated()


@blueprint.post("/activation/<token>/mail")
@public
def resend_by_link(token: str) -> ResponseReturnValue:
    """Mail a new link in place of an expired one."""
    registration.resend_by_link(token, now=utcnow())
    flash("If there is something to confirm, a new mail is on its way.")
    return redirect(url_for("signup.activation"), 303)


def _activated() -> ResponseReturnValue:
    session.pop(CONFIRMING, None)
    if current_session():
        flash("Your e-mail is confirmed.")
        return redirect(url_for("account.index"), 303)
    flash("Your e-mail is confirmed. You can sign in now.")
    return redirect(url_for("auth.login"), 303)
