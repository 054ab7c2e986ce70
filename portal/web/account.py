"""The account pages: profile, sessions, data export, deletion."""

from uuid import UUID

from flask import Blueprint, Response, flash, redirect, render_template, session, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import accounts, data_export, phones, sessions, two_factor
from portal.domain.accounts import deletion as departures
from portal.domain.accounts import profile as profiles
from portal.domain.accounts.profile import Profile
from portal.domain.invitations import invitations
from portal.domain.tokens import api_tokens
from portal.forms.account import DeletionForm, ProfileForm, SignOutForm
from portal.http.device import origin
from portal.http.guards import account_required, account_session, current_account, current_session
from portal.web.outcomes import refusals_on

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@account_required
def index() -> str:
    """Show the account, with links to change it."""
    account, now = current_account(), utcnow()
    return render_template(
        "account/index.html",
        phone=phones.spaced(account.phone) if account.phone else "",
        language=profiles.LANGUAGES[account.language],
        has_second_step=two_factor.are_set_up(account),
        living=len(sessions.living_of(account.id, now=now)),
    )


@blueprint.get("/profile")
@account_required
def profile() -> str:
    """Show the profile form."""
    return render_template("account/profile.html", form=ProfileForm(None, obj=current_account()))


@blueprint.post("/profile")
@account_required
def change_profile() -> ResponseReturnValue:
    """Change the profile."""
    form = ProfileForm()
    if form.validate_on_submit():
        with refusals_on(form):
            profiles.change(
                current_account(),
                _profile(form),
                username=form.username.data or "",
                origin=origin(),
                now=utcnow(),
            )
            flash("Your profile is changed.")
            return redirect(url_for("account.index"), 303)
    return render_template("account/profile.html", form=form), 422


@blueprint.get("/sessions")
@account_required
def where() -> str:
    """List the sessions of the account."""
    account, now = current_account(), utcnow()
    return render_template(
        "account/sessions.html",
        form=SignOutForm(formdata=None),
        living=sessions.living_of(account.id, now=now),
        living_tokens=api_tokens.count_living_of(account, now=now),
        here=current_session(),
    )


@blueprint.post("/sessions/<uuid:id>/closure")
@account_required
def end_session(id: UUID) -> ResponseReturnValue:
    """Sign out one session, which may be this one."""
    ending = sessions.one_of(current_account().id, id, now=utcnow())
    is_here = ending is current_session()
    accounts.sign_out(ending, origin=origin(), now=utcnow())
    if is_here:
        session.clear()
        return redirect(url_for("auth.login"), 303)
    flash("Signed out there.")
    return redirect(url_for("account.where"), 303)


@blueprint.post("/sessions/closure")
@account_required
def end_other_sessions() -> ResponseReturnValue:
    """Sign out everywhere else."""
    end_tokens = bool(SignOutForm().end_tokens.data)
    ended = accounts.sign_out_elsewhere(
        account_session(), origin=origin(), now=utcnow(), end_tokens=end_tokens
    )
    flash(f"Signed out everywhere else: {ended}.")
    return redirect(url_for("account.where"), 303)


@blueprint.post("/export")
@account_required
def export() -> Response:
    """Download all data kept about this person."""
    archive = data_export.archive_of(current_account(), origin=origin(), now=utcnow())
    response = Response(archive, mimetype="application/zip")
    response.headers["Content-Disposition"] = "attachment; filename=my-data.zip"
    return response


@blueprint.get("/deletion")
@account_required
def deletion() -> str:
    """Ask for confirmation before the account is deleted."""
    return _deletion(DeletionForm(formdata=None))


@blueprint.post("/deletion")
@account_required
def delete() -> ResponseReturnValue:
    """Delete the account permanently."""
    form = DeletionForm()
    if form.validate_on_submit():
        with refusals_on(form):
            departures.erase(
                current_account(),
                form.current_password.data or "",
                session=account_session(),
                origin=origin(),
                now=utcnow(),
            )
            session.clear()
            flash("Your account is deleted.")
            return redirect(url_for("landing.index"), 303)
    return _deletion(form), 422


def _deletion(form: DeletionForm) -> str:
    staff_codes = invitations.count_staff_codes(current_account(), now=utcnow())
    return render_template("account/deletion.html", form=form, staff_codes=staff_codes)


def _profile(form: ProfileForm) -> Profile:
    return Profile(
        first_name=form.first_name.data or "",
        last_name=form.last_name.data or "",
        phone=form.phone.data or "",
        language=form.language.data or "",
    )
