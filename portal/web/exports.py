"""Export invitations: a view of the history, a batch, or a selection."""

from flask import Blueprint, Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.errors import BadInput, NothingChosen
from portal.domain.exports import exports
from portal.domain.exports.exports import Format, Wanted
from portal.forms.exports import ExportForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.web.history_query import form_of, query_of, view_of

blueprint = Blueprint("exports", __name__, url_prefix="/admin/exports")


@blueprint.get("/new")
@staff_required()
def new() -> str:
    """Describe the export of a view or a batch."""
    form = ExportForm(request.args, meta={"csrf": False}, format="csv")
    if not form.batch.validate(form):
        raise BadInput
    return _asked(ExportForm(formdata=None, batch=form.batch.data), _wanted(form))


@blueprint.post("/question")
@staff_required()
def choose() -> str:
    """The same for a selection; a POST, since a hundred ids are too long for a URL."""
    form = ExportForm()
    if not form.invitation.data:
        raise NothingChosen
    return _asked(form, _wanted(form))


@blueprint.post("")
@staff_required()
def create() -> ResponseReturnValue:
    """Stream the file."""
    form, now = ExportForm(), utcnow()
    if not form.validate_on_submit():
        return _asked(form, _wanted(form)), 422
    kind = Format(form.format.data)
    pieces = exports.export(_wanted(form), kind, by=current_account(), origin=origin(), now=now)
    response = Response(stream_with_context(pieces), content_type=kind.mimetype)
    name = f"invitations-{now:%Y-%m-%d}.{kind}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _wanted(form: ExportForm) -> Wanted:
    if not (form.batch.validate(form) and form.invitation.validate(form)):
        raise BadInput
    query = query_of(form_of(request.values))._replace(batch=form.batch_id)
    return Wanted(
        query=query, ids=tuple(form.invitation.data or ()), with_codes=bool(form.codes.data)
    )


def _asked(form: ExportForm, wanted: Wanted) -> str:
    by, now = current_account(), utcnow()
    return render_template(
        "exports/new.html",
        form=form,
        wanted=wanted,
        view=view_of(form_of(request.values), request.values),
        count=exports.count(wanted, by=by, now=now),
        withheld=exports.withheld(wanted, by=by, now=now) if by.may_read_codes else 0,
    )
