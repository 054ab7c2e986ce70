"""Password reset by a mailed code."""

from flask import Blueprint, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import password_reset
from portal.forms.auth import IdentityForm, ResetForm
from portal.http.device import origin
from portal.http.guards import public
from portal.web.outcomes import refusals_on

blueprint = Blueprint("resets", __name__)

RESETTING = "resetting"  # session key: who asked for a code, to fill it in


@blueprint.get("/reset")
@public
def new() -> str:
    """Show the form that asks for an e-mail or username."""
    return render_template("resets/new.html", form=IdentityForm(formdata=None))


@blueprint.post("/reset")
@public
def create() -> ResponseReturnValue:
    """Mail a code. The response is the same for unknown names."""
    form = IdentityForm()
    if not form.validate_on_submit():
        return render_template("resets/new.html", form=form), 422
    password_reset.request(form.identity.data or "", origin=origin(), now=utcnow())
    session[RESETTING] = form.identity.data
    return redirect(url_for("resets.code"), 303)


@blueprint.get("/reset/code")
@public
def code() -> str:
    """Show the form for the mailed code and a new password."""
    form = ResetForm(formdata=None, identity=session.get(RESETTING, ""))
    return render_template("resets/code.html", form=form)


@blueprint.post("/reset/code")
@public
def finish() -> ResponseReturnValue:
    """Set the new password, and end all sessions."""
    form = ResetForm()
    if form.validate_on_submit():
        with refusals_on(form):
            password_reset.finish(
                form.identity.data or "",
                form.code.data or "",
                form.password.data or "",
                origin=origin(),
                now=utcnow(),
            )
            session.clear()
            flash("Your new password is set, and you are signed out everywhere. Sign in with it.")
            return redirect(url_for("auth.login"), 303)
    return render_template("resets/code.html", form=form), 422
