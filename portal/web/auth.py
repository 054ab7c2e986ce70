"""Register, sign in, sign out."""

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import login_user

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.accounts import login as sign_ins
from portal.domain.accounts.login import SecondStep
from portal.domain.invitations.recipient_verification import Proof
from portal.forms.auth import RegisterForm, SignInForm
from portal.http.device import origin
from portal.http.guards import account_required, current_session, public
from portal.models import Session
from portal.web.outcomes import refusals_on
from portal.web.redirects import local_path

blueprint = Blueprint("auth", __name__)


@blueprint.get("/login")
@public
def login() -> ResponseReturnValue:
    """Show the sign-in form."""
    return render_template("auth/login.html", form=SignInForm(formdata=None))


@blueprint.post("/login")
@public
def sign_in() -> ResponseReturnValue:
    """Sign in, in a new session."""
    form = SignInForm()
    if form.validate_on_submit():
        with refusals_on(form):
            step = sign_ins.begin(
                form.identity.data or "",
                form.password.data or "",
                origin=origin(),
                now=utcnow(),
                replaces=current_session(),
            )
            return _go_on(step)
    return render_template("auth/login.html", form=form), 422


@blueprint.get("/register")
@public
def registration() -> ResponseReturnValue:
    """Show the form for registering as staff."""
    known = {name: request.args.get(name, "") for name in ("code", "proof")}
    form = RegisterForm(formdata=None, **known)
    return render_template("auth/register.html", form=form, mode=accounts.registration())


@blueprint.post("/register")
@public
def register() -> ResponseReturnValue:
    """Register, and stay signed in."""
    form = RegisterForm()
    if form.validate_on_submit():
        with refusals_on(form):
            account = accounts.register(
                email=form.email.data or "",
                username=form.username.data or "",
                password=form.password.data or "",
                invitation_code=form.code.data,
                proof=Proof(code=form.mailed_code.data or "", link=form.proof.data or ""),
                origin=origin(),
                now=utcnow(),
            )
            return enter(
                accounts.start_session(
                    account, origin=origin(), now=utcnow(), replaces=current_session()
                )
            )
    return render_template("auth/register.html", form=form, mode=accounts.registration()), 422


@blueprint.post("/logout")
@account_required
def logout() -> ResponseReturnValue:
    """Sign out."""
    if ending := current_session():
        accounts.sign_out(ending, origin=origin(), now=utcnow())
    session.clear()
    return redirect(url_for("auth.login"), 303)


def _go_on(step: Session | SecondStep) -> ResponseReturnValue:
    """Sign in, or go on to the second step; the cookie records that the password was right."""
    if isinstance(step, Session):
        return enter(step)
    session["second_step"] = step.token
    target = local_path(request.args.get("next"))
    return redirect(url_for("second_steps.show", next=target), 303)


def enter(opened: Session) -> ResponseReturnValue:
    """Continue in a new session, and drop everything else the cookie held."""
    invitee = session.get("invitee")
    session.clear()
    if invitee:
        session["invitee"] = invitee
    login_user(opened)
    is_staff = opened.account is not None and opened.account.role.is_staff
    home = url_for("dashboard.index" if is_staff else "account.index")
    return redirect(local_path(request.args.get("next")) or home, 303)
