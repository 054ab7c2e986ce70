"""Issue, search, reveal, revoke and extend invitations."""

from typing import Any
from uuid import UUID

from flask import (
    Blueprint,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from wtforms import SelectChoice

from portal.clock import utcnow
from portal.config import settings
from portal.domain.accounts import sessions
from portal.domain.errors import NotAllowed, PortalError
from portal.domain.invitations import codes, invitations, listing, timeline
from portal.domain.invitations.invitations import Terms
from portal.domain.mail import outbox
from portal.forms.invitations import ExtensionForm, IssueForm, RevocationForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.models import Invitation, Role
from portal.web.history_query import form_of, query_of, view_of

blueprint = Blueprint("invitations", __name__, url_prefix="/admin/invitations")

ISSUED = "issued"  # session key: the code this browser issued last


@blueprint.get("")
@staff_required()
def index() -> str:
    """Show the history; the URL holds the complete query."""
    return render_template("invitations/index.html", **_history())


@blueprint.get("/history")
@staff_required()
def table() -> ResponseReturnValue:
    """Update the rows of an open history page."""
    found = _history()
    response = make_response(render_template("invitations/_history.html", **found))
    response.headers["HX-Push-Url"] = url_for("invitations.index", **found["view"])
    return response


@blueprint.get("/new")
@staff_required(Role.ADMIN)
def new() -> str:
    """Show the form for a new code."""
    return render_template("invitations/new.html", form=_issue_form())


@blueprint.post("")
@staff_required(Role.ADMIN)
def issue() -> ResponseReturnValue:
    """Issue one code."""
    form = _issue_form()
    if form.validate_on_submit():
        try:
            invitation = invitations.issue(
                _terms(form),
                by=current_account(),
                origin=origin(),
                now=utcnow(),
                own_code=form.own_code.data or None,
                mailed=bool(form.mailed.data),
                subject=(form.subject.data or "").strip(),
                message=(form.message.data or "").strip(),
            )
        except PortalError as refusal:
            form.refusal = str(refusal)
        else:
            session[ISSUED] = str(invitation.id)
            return redirect(url_for("invitations.issued", id=invitation.id), 303)
    return render_template("invitations/new.html", form=form), 422


@blueprint.get("/<uuid:id>/issued")
@staff_required(Role.ADMIN)
def issued(id: UUID) -> ResponseReturnValue:
    """Show the new code to the browser that issued it; later it has to be revealed."""
    invitation = invitations.get(id)
    if session.get(ISSUED) != str(id):
        return redirect(url_for("invitations.show", id=id))
    try:
        code = invitations.new_code(invitation, by=current_account(), now=utcnow())
    except NotAllowed:
        return redirect(url_for("invitations.show", id=id))
    return render_template(
        "invitations/issued.html", guessable=codes.is_guessable(code), **_shown(invitation, code)
    )


@blueprint.get("/<uuid:id>")
@staff_required()
def show(id: UUID) -> str:
    """Show one invitation and its timeline."""
    invitation = invitations.get(id)
    return render_template(
        "invitations/show.html",
        invitation=invitation,
        story=timeline.of_invitation(invitation),
        redemptions=timeline.redemptions_of(invitation),
        mails=outbox.about(id),
        now=utcnow(),
    )


@blueprint.post("/<uuid:id>/code")
@staff_required(Role.ADMIN)
def reveal(id: UUID) -> str:
    """Reveal the code, as a page."""
    return render_template("invitations/code.html", **_revealed(id))


@blueprint.post("/<uuid:id>/code/fragment")
@staff_required(Role.ADMIN)
def reveal_fragment(id: UUID) -> str:
    """Reveal the code, as a fragment."""
    return render_template("invitations/_code.html", **_revealed(id))


@blueprint.get("/<uuid:id>/revocation")
@staff_required(Role.ADMIN)
def revocation(id: UUID) -> str:
    """Ask for confirmation, with the effects of revoking."""
    return render_template("invitations/revocation.html", **_revocation(id))


@blueprint.get("/<uuid:id>/revocation/fragment")
@staff_required(Role.ADMIN)
def revocation_fragment(id: UUID) -> str:
    """The same as a fragment."""
    return render_template("invitations/_revocation.html", **_revocation(id))


@blueprint.post("/<uuid:id>/revocation")
@staff_required(Role.ADMIN)
def revoke(id: UUID) -> ResponseReturnValue:
    """Revoke permanently."""
    form = RevocationForm()
    ended = invitations.revoke(
        _to_act_on(id),
        by=current_account(),
        origin=origin(),
        now=utcnow(),
        end_sessions=bool(form.end_sessions.data),
    )
    flash(f"Revoked. Sessions ended: {ended}." if ended else "Revoked. It lets nobody in any more.")
    return redirect(url_for("invitations.show", id=id), 303)


@blueprint.get("/<uuid:id>/extension")
@staff_required(Role.ADMIN)
def extension(id: UUID) -> str:
    """Show the form for a new expiry."""
    return render_template("invitations/extension.html", **_extension(id))


@blueprint.get("/<uuid:id>/extension/fragment")
@staff_required(Role.ADMIN)
def extension_fragment(id: UUID) -> str:
    """The same as a fragment."""
    return render_template("invitations/_extension.html", **_extension(id))


@blueprint.post("/<uuid:id>/extension")
@staff_required(Role.ADMIN)
def extend(id: UUID) -> ResponseReturnValue:
    """Set a new expiry."""
    form, now = ExtensionForm(), utcnow()
    invitation = _to_act_on(id)
    if form.validate_on_submit():
        try:
            invitations.extend(
                invitation,
                expires_at=form.expires_at(now),
                by=current_account(),
                origin=origin(),
                now=now,
            )
        except PortalError as refusal:
            form.refusal = str(refusal)
        else:
            flash("Extended.")
            return redirect(url_for("invitations.show", id=id), 303)
    return render_template("invitations/extension.html", invitation=invitation, form=form), 422


def _history() -> dict[str, Any]:
    now = utcnow()
    form = form_of(request.args)
    query, view = query_of(form), view_of(form, request.args)
    page = listing.find(query, now=now)
    return {"form": form, "query": query, "page": page, "view": view, "now": now}


def _issue_form() -> IssueForm:
    form = IssueForm(days=settings.invitation_days, language=settings.locale)
    roles = [role for role in Role if role.is_staff and current_account().may(role)]
    grants = (SelectChoice(role, f"Staff: {role}") for role in roles)
    form.grants_role.choices = [SelectChoice("", "Invitee"), *grants]
    return form


def _terms(form: IssueForm) -> Terms:
    now = utcnow()
    return Terms(
        label=(form.label.data or "").strip(),
        starts_at=form.moment(form.starts.data),
        expires_at=form.expires_at(now),
        max_uses=form.chosen_max_uses(),
        recipient=form.recipient.data or None,
        recipient_name=(form.recipient_name.data or "").strip() or None,
        language=form.language.data,
        grants_role=Role(form.grants_role.data) if form.grants_role.data else None,
    )


def _shown(invitation: Invitation, code: str) -> dict[str, Any]:
    link = f"{settings.base_url}{url_for('landing.index', code=code)}"
    return {"invitation": invitation, "code": code, "link": link, "now": utcnow()}


def _to_act_on(id: UUID) -> Invitation:
    return invitations.get_within_reach(id, by=current_account())


def _revealed(id: UUID) -> dict[str, Any]:
    invitation = _to_act_on(id)
    code = invitations.reveal(invitation, by=current_account(), origin=origin(), now=utcnow())
    return _shown(invitation, code)


def _revocation(id: UUID) -> dict[str, Any]:
    invitation = _to_act_on(id)
    living = sessions.count_admitted_by(id, now=utcnow())
    return {"invitation": invitation, "living": living, "form": RevocationForm(formdata=None)}


def _extension(id: UUID) -> dict[str, Any]:
    form = ExtensionForm(formdata=None, days=settings.invitation_days)
    return {"invitation": _to_act_on(id), "form": form}
