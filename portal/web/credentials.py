"""Changing the password and the e-mail of an account; mailed links need no sign-in."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import credentials, verification
from portal.domain.errors import NotFound
from portal.domain.tokens import api_tokens
from portal.forms import Form
from portal.forms.account import CodeForm, NewEmailForm, PasswordForm
from portal.http.device import origin
from portal.http.guards import account_required, account_session, current_account, public
from portal.models import Purpose
from portal.web.outcomes import refusals_on

blueprint = Blueprint("credentials", __name__, url_prefix="/account")


@blueprint.get("/password")
@account_required
def password() -> str:
    """Show the form for a new password."""
    return _password_page(PasswordForm(formdata=None))


@blueprint.post("/password")
@account_required
def change_password() -> ResponseReturnValue:
    """Set a new password, and end all other sessions."""
    form = PasswordForm()
    if form.validate_on_submit():
        with refusals_on(form):
            credentials.change_password(
                current_account(),
                form.current_password.data or "",
                form.password.data or "",
                keeps=account_session(),
                origin=origin(),
                now=utcnow(),
                end_tokens=bool(form.end_tokens.data),
            )
            flash("Your new password is set. Everywhere else you are signed out.")
            return redirect(url_for("account.index"), 303)
    return _password_page(form), 422


@blueprint.get("/email")
@account_required
def email() -> str:
    """Show the form for a new e-mail."""
    return render_template("account/email.html", form=NewEmailForm(formdata=None))


@blueprint.post("/email")
@account_required
def request_email() -> ResponseReturnValue:
    """Mail a code to the new address."""
    form = NewEmailForm()
    if form.validate_on_submit():
        with refusals_on(form):
            address = credentials.request_new_email(
                current_account(),
                form.email.data or "",
                form.current_password.data or "",
                session=account_session(),
                origin=origin(),
                now=utcnow(),
            )
            flash(f"We sent a code to {address}.")
            return redirect(url_for("credentials.email_code"), 303)
    return render_template("account/email.html", form=form), 422


@blueprint.get("/email/confirmation")
@account_required
def email_code() -> str:
    """Show the form for the mailed code."""
    return render_template("account/email_code.html", form=CodeForm(formdata=None))


@blueprint.post("/email/confirmation")
@account_required
def confirm_email() -> ResponseReturnValue:
    """Confirm the new address by the mailed code."""
    form = CodeForm()
    if form.validate_on_submit():
        with refusals_on(form):
            credentials.confirm_new_email(
                current_account(), form.code.data or "", origin=origin(), now=utcnow()
            )
            flash("Your new e-mail is confirmed.")
            return redirect(url_for("account.index"), 303)
    return render_template("account/email_code.html", form=form), 422


@blueprint.get("/email/<token>")
@public
def email_link(token: str) -> str:
    """Show the page of a mailed link. It changes nothing, since mail scanners follow links."""
    sent = verification.by_link(token, Purpose.NEW_EMAIL)
    if sent is None:
        raise NotFound
    lives = sent.lives(utcnow())
    return render_template("account/email_link.html", form=Form(), sent=sent, lives=lives)


@blueprint.post("/email/<token>")
@public
def confirm_email_by_link(token: str) -> ResponseReturnValue:
    """Confirm the new address by the button on that page."""
    credentials.confirm_new_email_by_link(token, origin=origin(), now=utcnow())
    flash("Your new e-mail is confirmed. Sign in with it from now on.")
    return redirect(url_for("account.index"), 303)


def _password_page(form: PasswordForm) -> str:
    living = api_tokens.count_living_of(current_account(), now=utcnow())
    return render_template("account/password.html", form=form, living_tokens=living)
