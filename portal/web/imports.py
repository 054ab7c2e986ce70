"""Import recipients: upload a file or paste a list, preview it, confirm once."""

from io import BytesIO
from pathlib import PurePath
from typing import IO, Any
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import SelectChoice

from portal.clock import utcnow
from portal.config import settings
from portal.domain.batches import batches
from portal.domain.errors import BadInput, PortalError, TooManyUploads
from portal.domain.imports import parsing, preview, tables, uploads
from portal.domain.imports.preview import Kind
from portal.domain.imports.uploads import Mailing
from portal.domain.invitations.invitations import Terms
from portal.domain.operations import worker_tasks
from portal.forms.imports import ConfirmationForm, ImportForm, PreviewForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required, upload_allowed
from portal.models import Batch, BatchState, Role

blueprint = Blueprint("imports", __name__, url_prefix="/admin/imports")

SHOWN = 50
OTHER_FIELDS = 1024 * 1024  # bytes of a form besides its file


@blueprint.get("/new")
@staff_required(Role.ADMIN)
def new() -> str:
    """Show the form for a file, or pasted addresses."""
    return render_template("imports/new.html", form=_import_form())


@blueprint.post("")
@staff_required(Role.ADMIN)
@upload_allowed(uploads.LARGEST_FILE + OTHER_FIELDS)
def create() -> ResponseReturnValue:
    """Store the file, and read it: a small one at once, a large one by the worker."""
    form = _import_form()
    if form.validate_on_submit():
        try:
            batch = _receive(form)
            uploads.read(batch.id, clock=utcnow, at_most=uploads.AT_ONCE, limits=tables.HASTY)
        except TooManyUploads:
            raise
        except PortalError as refusal:
            form.refusal = str(refusal)
        else:
            return redirect(url_for("imports.show", id=batch.id), 303)
    return render_template("imports/new.html", form=form), 422


@blueprint.get("/<uuid:id>")
@staff_required(Role.ADMIN)
def show(id: UUID) -> ResponseReturnValue:
    """Show the reading progress, later the preview."""
    batch = _batch(id)
    if batch.state not in preview.UNCONFIRMED:
        return redirect(url_for("batches.show", id=id))
    if batch.state is BatchState.PREVIEW:
        return render_template("imports/preview.html", form=ConfirmationForm(), **_preview(batch))
    aside = worker_tasks.is_set_aside(batch)
    return render_template("imports/show.html", batch=batch, now=utcnow(), is_set_aside=aside)


@blueprint.get("/<uuid:id>/progress")
@staff_required(Role.ADMIN)
def progress(id: UUID) -> ResponseReturnValue:
    """Report the reading progress; once complete, reload the whole page."""
    batch = _batch(id)
    aside = worker_tasks.is_set_aside(batch)
    response = make_response(
        render_template("imports/_progress.html", batch=batch, now=utcnow(), is_set_aside=aside)
    )
    if batch.state is not BatchState.READING:
        response.headers["HX-Refresh"] = "true"
    return response


@blueprint.post("/<uuid:id>/confirmation")
@staff_required(Role.ADMIN)
def confirm(id: UUID) -> ResponseReturnValue:
    """Issue invitations to the valid rows: a few at once, many by the worker."""
    batch, form, by, now = _batch(id), ConfirmationForm(), current_account(), utcnow()
    if batch.state not in {BatchState.PREVIEW, BatchState.ISSUING, BatchState.ISSUED}:
        raise BadInput("This import cannot be confirmed: it is not read to its end.")
    try:
        again = bool(form.again.data)
        count = preview.confirm(batch, by=by, origin=origin(), now=now, invite_again=again)
    except PortalError as refusal:
        flash(str(refusal))
        return redirect(url_for("imports.show", id=id), 303)
    if count <= batches.AT_ONCE:
        batches.complete(id, origin=origin(), now=now)
    return redirect(url_for("batches.show", id=id), 303)


@blueprint.post("/<uuid:id>/removal")
@staff_required(Role.ADMIN)
def discard(id: UUID) -> ResponseReturnValue:
    """Discard the import."""
    preview.discard(_batch(id), by=current_account(), origin=origin(), now=utcnow())
    flash("Discarded. Nobody was invited.")
    return redirect(url_for("batches.index"), 303)


def _batch(id: UUID) -> Batch:
    return batches.get(id, by=current_account())


def _import_form() -> ImportForm:
    return ImportForm(days=settings.invitation_days, language=settings.locale)


def _receive(form: ImportForm) -> Batch:
    now = utcnow()
    terms = Terms(
        label=(form.label.data or "").strip(),
        starts_at=form.moment(form.starts.data),
        expires_at=form.expires_at(now),
        max_uses=form.chosen_max_uses(),
    )
    file, name = _file(form)
    return uploads.receive(
        file,
        terms,
        name=(form.name.data or "").strip() or name,
        mailing=_mailing(form),
        zone=form.known_zone.key,
        by=current_account(),
        origin=origin(),
        now=now,
    )


def _mailing(form: ImportForm) -> Mailing:
    return Mailing(
        mailed=bool(form.mailed.data),
        language=form.language.data,
        subject=(form.subject.data or "").strip(),
        message=(form.message.data or "").strip(),
        reminder_days=form.reminder_days.data,
    )


def _file(form: ImportForm) -> tuple[IO[bytes], str]:
    """The stream to read, and a name for it."""
    if form.file.data:
        return form.file.data.stream, PurePath(form.file.data.filename).stem[:120] or "Import"
    return BytesIO(parsing.listed(form.pasted.data).encode()), "Pasted addresses"


def _preview(batch: Batch) -> dict[str, Any]:
    counts = preview.counts(batch)
    form = PreviewForm(request.args)
    form.show.choices = [SelectChoice(kind) for kind in Kind]
    if not form.validate():
        raise BadInput("This link to the preview is broken. Open the import again.")
    worth_seeing = [kind for kind in (Kind.BAD, Kind.DUPLICATE, Kind.INVITED) if counts[kind]]
    kind = Kind(form.show.data) if form.show.data else (*worth_seeing, Kind.GOOD)[0]
    page = preview.rows(batch, kind, size=SHOWN, after=form.after.data or 0)
    return {"batch": batch, "counts": counts, "kind": kind, "page": page, "after": form.after.data}
