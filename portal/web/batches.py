"""Batches: issue many codes at once, follow the progress, see the results."""

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.config import settings
from portal.db.types import new_id
from portal.domain.batches import batches, bulk, funnel
from portal.domain.errors import BadInput, PortalError
from portal.domain.invitations import listing, permissions
from portal.domain.invitations.invitations import Terms
from portal.domain.invitations.listing import Query
from portal.domain.mail import outbox
from portal.domain.operations import worker_tasks
from portal.forms import Form
from portal.forms.batches import BatchForm, BatchListForm, CardsForm
from portal.forms.invitations import ExtensionForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.models import Batch, BatchState, Role, TaskKind

blueprint = Blueprint("batches", __name__, url_prefix="/admin/batches")

LISTED = 25
ROWS = 50


@blueprint.get("")
@staff_required(Role.ADMIN)
def index() -> str:
    """List the batches, newest first."""
    form = BatchListForm(request.args)
    if not form.validate():
        raise BadInput("This link to the batches is broken. Start again from the first page.")
    before = UUID(form.before.data) if form.before.data else None
    found = batches.latest(LISTED + 1, by=current_account(), before=before)
    return render_template(
        "batches/index.html", batches=found[:LISTED], more=len(found) > LISTED, before=before
    )


@blueprint.get("/new")
@staff_required(Role.ADMIN)
def new() -> str:
    """Show the form for a batch."""
    return render_template("batches/new.html", form=_batch_form())


@blueprint.post("")
@staff_required(Role.ADMIN)
def create() -> ResponseReturnValue:
    """Issue a batch: small ones at once, large ones by the worker."""
    form = _batch_form()
    if form.validate_on_submit():
        try:
            batch = _create(form)
        except PortalError as refusal:
            form.refusal = str(refusal)
        else:
            return redirect(url_for("batches.show", id=batch.id), 303)
    form.key.data = str(new_id())  # nothing was issued under the submitted key
    return render_template("batches/new.html", form=form), 422


@blueprint.get("/<uuid:id>")
@staff_required(Role.ADMIN)
def show(id: UUID) -> str:
    """Show one batch: its progress, later its results."""
    batch = _batch(id)
    reached = funnel.of(batch, now=utcnow())
    mails = outbox.counts(batch=id)
    return render_template(
        "batches/show.html",
        funnel=reached,
        mails=mails,
        is_set_aside=worker_tasks.is_set_aside(batch),
        **_rows(batch),
    )


@blueprint.get("/<uuid:id>/progress")
@staff_required(Role.ADMIN)
def progress(id: UUID) -> ResponseReturnValue:
    """Report the progress; once complete, reload the whole page."""
    batch = _batch(id)
    aside = worker_tasks.is_set_aside(batch)
    response = make_response(
        render_template("batches/_progress.html", batch=batch, now=utcnow(), is_set_aside=aside)
    )
    if batch.state is not BatchState.ISSUING:
        response.headers["HX-Refresh"] = "true"
    return response


@blueprint.post("/<uuid:id>/resumption")
@staff_required(Role.ADMIN)
def resume(id: UUID) -> ResponseReturnValue:
    """Let the worker resume a batch or an import that was set aside."""
    batch = _batch(id)
    worker_tasks.resume_batch(batch, by=current_account(), origin=origin(), now=utcnow())
    flash("The worker will try it again.")
    is_import = worker_tasks.task_of(batch).kind is TaskKind.IMPORT
    page = "imports.show" if is_import else "batches.show"
    return redirect(url_for(page, id=id), 303)


@blueprint.get("/<uuid:id>/rows")
@staff_required(Role.ADMIN)
def rows(id: UUID) -> ResponseReturnValue:
    """Update the rows of an open page."""
    response = make_response(render_template("batches/_rows.html", **_rows(_batch(id))))
    response.headers["HX-Push-Url"] = url_for(
        "batches.show", id=id, cursor=request.args.get("cursor")
    )
    return response


@blueprint.get("/<uuid:id>/revocation")
@staff_required(Role.ADMIN)
def revocation(id: UUID) -> str:
    """Ask for confirmation, with the effects of revoking."""
    return render_template("batches/revocation.html", **_revocation(id))


@blueprint.get("/<uuid:id>/revocation/fragment")
@staff_required(Role.ADMIN)
def revocation_fragment(id: UUID) -> str:
    """The same as a fragment."""
    return render_template("batches/_revocation.html", **_revocation(id))


@blueprint.post("/<uuid:id>/revocation")
@staff_required(Role.ADMIN)
def revoke(id: UUID) -> ResponseReturnValue:
    """Revoke the unredeemed codes of a batch."""
    revoked = bulk.revoke_unredeemed(
        _batch(id), by=current_account(), origin=origin(), now=utcnow()
    )
    flash(f"Revoked: {revoked:,}. They let nobody in any more.")
    return redirect(url_for("batches.show", id=id), 303)


@blueprint.get("/<uuid:id>/extension")
@staff_required(Role.ADMIN)
def extension(id: UUID) -> str:
    """Show the form for a new expiry."""
    return render_template("batches/extension.html", **_extension(id))


@blueprint.get("/<uuid:id>/extension/fragment")
@staff_required(Role.ADMIN)
def extension_fragment(id: UUID) -> str:
    """The same as a fragment."""
    return render_template("batches/_extension.html", **_extension(id))


@blueprint.post("/<uuid:id>/extension")
@staff_required(Role.ADMIN)
def extend(id: UUID) -> ResponseReturnValue:
    """Set a new expiry for all codes that are not revoked."""
    form, now, batch = ExtensionForm(), utcnow(), _batch(id)
    if form.validate_on_submit():
        try:
            ends, by = form.expires_at(now), current_account()
            extended = bulk.extend_batch(batch, expires_at=ends, by=by, origin=origin(), now=now)
        except PortalError as refusal:
            form.refusal = str(refusal)
        else:
            flash(f"Extended: {extended:,}.")
            return redirect(url_for("batches.show", id=id), 303)
    return render_template("batches/extension.html", batch=batch, form=form), 422


@blueprint.post("/<uuid:id>/cards")
@staff_required(Role.ADMIN)
def cards(id: UUID) -> str:
    """Show its codes as cards to print and cut, a few sheets per page."""
    batch, form = _batch(id), CardsForm()
    if not form.validate():
        raise BadInput
    after = UUID(form.after.data) if form.after.data else None
    shown = bulk.cards_of_batch(
        batch, by=current_account(), origin=origin(), now=utcnow(), after=after
    )
    more = len(shown) == bulk.CARDS
    return render_template("batches/cards.html", batch=batch, cards=shown, more=more, form=form)


def _batch(id: UUID) -> Batch:
    return batches.get(id, by=current_account())


def _batch_form() -> BatchForm:
    return BatchForm(days=settings.invitation_days, key=str(new_id()))


def _create(form: BatchForm) -> Batch:
    now = utcnow()
    terms = Terms(
        label=(form.label.data or "").strip(),
        starts_at=form.moment(form.starts.data),
        expires_at=form.expires_at(now),
        max_uses=form.chosen_max_uses(),
    )
    batch = batches.create(
        terms,
        name=form.name.data.strip(),
        size=form.size.data,
        by=current_account(),
        origin=origin(),
        now=now,
        id=UUID(form.key.data),
    )
    if batch.size <= batches.AT_ONCE:
        batches.complete(batch.id, origin=origin(), now=now)
    return batch


def _rows(batch: Batch) -> dict[str, Any]:
    now, cursor = utcnow(), request.args.get("cursor", "")
    query = Query(batch=batch.id, descending=False, size=ROWS, cursor=cursor)
    return {"batch": batch, "page": listing.find(query, now=now), "now": now}


def _revocation(id: UUID) -> dict[str, Any]:
    batch = _batch(id)
    count = bulk.count_unredeemed(batch, by=current_account())
    return {"batch": batch, "count": count, "form": Form(formdata=None)}


def _extension(id: UUID) -> dict[str, Any]:
    form, batch = ExtensionForm(formdata=None, days=settings.invitation_days), _batch(id)
    permissions.require_may_act(batch, by=current_account())
    return {"batch": batch, "form": form}
