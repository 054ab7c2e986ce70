"""The second sign-in step, and signing in by a passkey alone."""

from flask import Blueprint, render_template, session
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import login, passkeys, two_factor
from portal.domain.errors import NotFound
from portal.forms.auth import SignInForm
from portal.forms.second_factors import PasskeyForm, SecondStepForm
from portal.http.device import origin
from portal.http.guards import current_session, public
from portal.web.auth import enter
from portal.web.outcomes import refusals_on

blueprint = Blueprint("second_steps", __name__, url_prefix="/login")


@blueprint.get("/second-step")
@public
def show() -> str:
    """Show the form for a code, after the password was right."""
    return _page(SecondStepForm(formdata=None))


@blueprint.post("/second-step")
@public
def take() -> ResponseReturnValue:
    """Sign in with a code of the app or a recovery code."""
    form = SecondStepForm()
    if form.validate_on_submit():
        with refusals_on(form):
            return enter(
                login.finish(
                    session.get("second_step", ""),
                    form.code.data or form.recovery_code.data or "",
                    origin=origin(),
                    now=utcnow(),
                    replaces=current_session(),
                )
            )
    return _page(form), 422


@blueprint.get("/passkey/options")
@public
def options() -> ResponseReturnValue:
    """The options with which the browser lets people choose a passkey."""
    if not passkeys.are_possible():
        raise NotFound
    return passkeys.request_options(origin=origin(), now=utcnow())


@blueprint.post("/passkey")
@public
def sign_in() -> ResponseReturnValue:
    """Sign in with a passkey."""
    form, retry = PasskeyForm(), SignInForm(formdata=None)
    retry.refusal = "Your browser did not answer."
    if form.validate_on_submit():
        with refusals_on(retry):
            return enter(
                login.finish_by_passkey(
                    form.credential.data or "",
                    origin=origin(),
                    now=utcnow(),
                    replaces=current_session(),
                )
            )
    return render_template("auth/login.html", form=retry), 422


def _page(form: SecondStepForm) -> str:
    account = login.waiting(session.get("second_step", ""), now=utcnow())
    return render_template(
        "auth/second_step.html",
        form=form,
        has_app=account.totp_confirmed_at is not None,
        has_passkey=passkeys.are_possible() and bool(passkeys.of(account)),
        codes_left=two_factor.recovery_codes_left(account),
    )
