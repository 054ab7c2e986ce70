"""Sign-in methods of one's own account: app, passkeys, recovery codes."""

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
    """List the sign-in methods besides the password, with forms to add more."""
    return render_template("security/index.html", **_shown())


@blueprint.post("/app")
@fresh_sign_in_required
def begin_app() -> ResponseReturnValue:
    """Generate a secret for an authenticator app."""
    two_factor.begin_totp(current_account())
    return redirect(url_for("second_factors.app"), 303)


@blueprint.get("/app")
@fresh_sign_in_required
def app() -> ResponseReturnValue:
    """Show the secret as a QR code, until a code confirms that an app has it."""
    return _app_page(CodeForm(formdata=None))


@blueprint.post("/app/confirmation")
@fresh_sign_in_required
def confirm_app() -> ResponseReturnValue:
    """Enable the app: its codes are required from now on."""
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
    """Remove the app: its codes are no longer required."""
    two_factor.remove_totp(current_account(), origin=origin(), now=utcnow())
    flash("The app is removed.")
    return redirect(url_for("second_factors.index"), 303)


@blueprint.post("/recovery-codes")
@fresh_sign_in_required
def renew_recovery_codes() -> ResponseReturnValue:
    """Generate new recovery codes. Only this response ever shows them."""
    codes = two_factor.renew_recovery_codes(current_account(), origin=origin(), now=utcnow())
    return render_template("security/codes.html", codes=codes), 201


@blueprint.get("/passkeys/options")
@fresh_sign_in_required
def passkey_options() -> ResponseReturnValue:
    """The options with which the browser creates a passkey."""
    if not passkeys.are_possible():
        raise NotFound
    return passkeys.creation_options(current_account(), origin=origin(), now=utcnow())


@blueprint.post("/passkeys")
@fresh_sign_in_required
def add_passkey() -> ResponseReturnValue:
    """Add a passkey that the browser created."""
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
    """Remove a passkey."""
    passkeys.remove(id, by=current_account(), origin=origin(), now=utcnow())
    flash("The passkey is removed. You may delete it in your browser or phone, too.")
    return redirect(url_for("second_factors.index"), 303)


def _added(words: str, codes: list[str]) -> ResponseReturnValue:
    """Show the recovery codes with the first second factor; afterwards just confirm."""
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
