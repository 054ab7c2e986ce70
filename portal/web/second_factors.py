"""How somebody signs in: the app, the passkeys and the recovery codes, all of one's own."""

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import passkeys, two_factor
from portal.domain.errors import NotFound
from portal.forms.second_factors import CodeForm, NewPasskeyForm
from portal.http.device import origin
from portal.http.guards import current_account, fresh_sign_in_required
from portal.web.outcomes import refusals_on

blueprint = Blueprint("second_factors", __name__, url_prefix="/account/security")


@blueprint.get("")
@fresh_sign_in_required
def index() -> str:
    """What there is beside the password, and what can be added."""
    return render_template("security/index.html", **_shown())


@blueprint.post("/app")
@fresh_sign_in_required
def begin_app() -> ResponseReturnValue:
    """Draw a secret for an app."""
    two_factor.begin_totp(current_account())
    return redirect(url_for("second_factors.app"), 303)


@blueprint.get("/app")
@fresh_sign_in_required
def app() -> ResponseReturnValue:
    """The secret as a picture, until a code confirms that an app has it."""
    return _app_page(CodeForm(formdata=None))


@blueprint.post("/app/confirmation")
@fresh_sign_in_required
def confirm_app() -> ResponseReturnValue:
    """Ask for the app's codes from now on."""
    form = CodeForm()
    if form.validate_on_submit():
        with refusals_on(form):
            codes = two_factor.confirm_totp(
                current_account(), form.code.data or "", origin=origin(), now=utcnow()
            )
            return _added("From now on signing in asks for a code of your app.", codes)
    return _app_page(form, 422)


@blueprint.post("/app/removal")
@fresh_sign_in_required
def remove_app() -> ResponseReturnValue:
    """Ask for the app's codes no more."""
    two_factor.remove_totp(current_account(), origin=origin(), now=utcnow())
    flash("The app is removed.")
    return redirect(url_for("second_factors.index"), 303)


@blueprint.post("/recovery-codes")
@fresh_sign_in_required
def renew_recovery_codes() -> ResponseReturnValue:
    """Draw new recovery codes. This answer is the only one that ever shows them."""
    codes = two_factor.renew_recovery_codes(current_account(), origin=origin(), now=utcnow())
    return render_template("security/codes.html", codes=codes), 201


@blueprint.get("/passkeys/options")
@fresh_sign_in_required
def passkey_options() -> ResponseReturnValue:
    """What the browser needs to make a passkey."""
    if not passkeys.are_possible():
        raise NotFound
    return passkeys.creation_options(current_account(), origin=origin(), now=utcnow())


@blueprint.post("/passkeys")
@fresh_sign_in_required
def add_passkey() -> ResponseReturnValue:
    """Keep a passkey that the browser made."""
    form = NewPasskeyForm()
    if form.validate_on_submit():
        with refusals_on(form):
            codes = passkeys.add(
                current_account(),
                form.credential.data or "",
                name=(form.name.data or "").strip(),
                origin=origin(),
                now=utcnow(),
            )
            return _added("You can sign in with this passkey now.", codes)
    return render_template("security/index.html", **_shown(form)), 422


@blueprint.post("/passkeys/<uuid:id>/removal")
@fresh_sign_in_required
def remove_passkey(id: UUID) -> ResponseReturnValue:
    """Let a passkey in no more."""
    passkeys.remove(id, by=current_account(), origin=origin(), now=utcnow())
    flash("The passkey is removed. You may delete it in your browser or phone, too.")
    return redirect(url_for("second_factors.index"), 303)


def _added(words: str, codes: list[str]) -> ResponseReturnValue:
    """The recovery codes come with the first second factor; after that there is only a word."""
    flash(words)
    if codes:
        return render_template("security/codes.html", codes=codes), 201
    return redirect(url_for("second_factors.index"), 303)


def _app_page(form: CodeForm, status: int = 200) -> ResponseReturnValue:
    pending = two_factor.pending_totp(current_account())
    if pending is None:
        return redirect(url_for("second_factors.index"), 303)
    return render_template("security/app.html", form=form, pending=pending), status


def _shown(form: NewPasskeyForm | None = None) -> dict[str, Any]:
    account = current_account()
    return {
        "form": form or NewPasskeyForm(formdata=None),
        "account": account,
        "is_due": two_factor.are_due(account),
        "passkeys": passkeys.of(account),
        "codes_left": two_factor.recovery_codes_left(account),
    }
