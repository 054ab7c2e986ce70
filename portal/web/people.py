"""People, for staff: search, roles, deactivation, unlocking."""

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import admin, deletion, phones, sessions, two_factor
from portal.domain.accounts.admin import Query
from portal.domain.errors import BadInput
from portal.domain.invitations import invitations, timeline
from portal.domain.tokens import api_tokens
from portal.forms.account import SignOutForm
from portal.forms.people import PeopleForm, RequirementForm, RoleForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.models import Role
from portal.web.outcomes import refusals_on

blueprint = Blueprint("people", __name__, url_prefix="/admin/people")


@blueprint.get("")
@staff_required(Role.ADMIN)
def index() -> str:
    """List people; the URL holds the complete query."""
    return render_template("people/index.html", **_found())


@blueprint.get("/table")
@staff_required(Role.ADMIN)
def table() -> ResponseReturnValue:
    """Update the rows of an open page."""
    found = _found()
    response = make_response(render_template("people/_table.html", **found))
    response.headers["HX-Push-Url"] = url_for("people.index", **found["view"])
    return response


@blueprint.get("/<uuid:id>")
@staff_required(Role.ADMIN)
def show(id: UUID) -> str:
    """Show one person, their sessions and their audit events."""
    return _page(id)


@blueprint.post("/<uuid:id>/role")
@staff_required(Role.OWNER)
def change_role(id: UUID) -> ResponseReturnValue:
    """Change a role."""
    form, person = RoleForm(), admin.get(id)
    if form.validate_on_submit():
        role = Role(form.role.data)
        with refusals_on(form):
            by, now = current_account(), utcnow()
            revoked = admin.change_role(person, role, by=by, origin=origin(), now=now)
            flash(f"{person.username} is {role.phrase} now, and was signed out.{_codes(revoked)}")
            return redirect(url_for("people.show", id=id), 303)
    return _page(id, form), 422


@blueprint.post("/<uuid:id>/deactivation")
@staff_required(Role.ADMIN)
def deactivate(id: UUID) -> ResponseReturnValue:
    """Deactivate an account."""
    person = admin.get(id)
    revoked = deletion.deactivate(person, by=current_account(), origin=origin(), now=utcnow())
    flash(
        f"{person.username} is signed out, and kept out until you let them in again."
        f"{_codes(revoked)}"
    )
    return redirect(url_for("people.show", id=id), 303)


@blueprint.post("/<uuid:id>/activation")
@staff_required(Role.ADMIN)
def activate(id: UUID) -> ResponseReturnValue:
    """Reactivate an account."""
    person = admin.get(id)
    deletion.reactivate(person, by=current_account(), origin=origin(), now=utcnow())
    flash(f"{person.username} can sign in again.")
    return redirect(url_for("people.show", id=id), 303)


@blueprint.post("/<uuid:id>/departure")
@staff_required(Role.ADMIN)
def end_sessions(id: UUID) -> ResponseReturnValue:
    """Sign somebody out everywhere."""
    person, end_tokens = admin.get(id), bool(SignOutForm().end_tokens.data)
    admin.end_sessions(
        person, by=current_account(), origin=origin(), now=utcnow(), end_tokens=end_tokens
    )
    flash(f"{person.username} is signed out everywhere.")
    return redirect(url_for("people.show", id=id), 303)


@blueprint.post("/<uuid:id>/unlocking")
@staff_required(Role.ADMIN)
def unlock(id: UUID) -> ResponseReturnValue:
    """Reset the counter of wrong passwords."""
    person = admin.get(id)
    admin.unlock(person, by=current_account(), origin=origin(), now=utcnow())
    flash(f"{person.username} can try again at once.")
    return redirect(url_for("people.show", id=id), 303)


@blueprint.post("/<uuid:id>/second-step/removal")
@staff_required(Role.OWNER)
def remove_second_step(id: UUID) -> ResponseReturnValue:
    """Disable 2FA for somebody who lost phone and codes: the password is enough again."""
    person = admin.get(id)
    two_factor.remove_all(person, by=current_account(), origin=origin(), now=utcnow())
    flash(f"{person.username} signs in with the password alone now.")
    return redirect(url_for("people.show", id=id), 303)


@blueprint.post("/second-step")
@staff_required(Role.OWNER)
def require_second_step() -> ResponseReturnValue:
    """Require 2FA for all staff, or stop requiring it."""
    form = RequirementForm()
    if not form.validate_on_submit():
        raise BadInput
    required, by = bool(form.required.data), current_account()
    two_factor.require_of_staff(required, by=by, origin=origin(), now=utcnow())
    flash("All staff need a second step now." if required else "A password is enough again.")
    return redirect(url_for("people.index"), 303)


def _codes(revoked: int) -> str:
    return f" Staff codes revoked: {revoked}." if revoked else ""


def _found() -> dict[str, Any]:
    form = PeopleForm(request.args)
    if not form.validate():
        raise BadInput
    query = Query(
        text=(form.q.data or "").strip(),
        role=Role(form.role.data) if form.role.data else None,
        deactivated={"active": False, "deactivated": True}.get(form.state.data),
        after=request.args.get("after", "")[:32],
    )
    view = {name: value for name, value in request.args.items() if value and name in form}
    return {
        "form": form,
        "query": query,
        "page": admin.find(query),
        "view": view,
        "second_step_required": two_factor.is_required(),
    }


def _page(id: UUID, form: RoleForm | None = None) -> str:
    person, now = admin.get(id), utcnow()
    return render_template(
        "people/show.html",
        person=person,
        phone=phones.spaced(person.phone) if person.phone else "",
        form=form or RoleForm(formdata=None, role=person.role),
        may_manage=deletion.may_manage(current_account(), person),
        has_second_step=two_factor.are_set_up(person),
        is_locked=admin.is_locked(person, now=now),
        staff_codes=invitations.count_staff_codes(person, now=now),
        sessions=sessions.living_of(person.id, now=now),
        sign_out_form=SignOutForm(formdata=None),
        living_tokens=api_tokens.count_living_of(person, now=now),
        story=timeline.of_account(person),
    )
