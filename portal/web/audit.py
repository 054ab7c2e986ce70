"""The audit log, for the owner."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask import stream_with_context as within_the_request
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.audit import search
from portal.domain.audit.search import Query
from portal.domain.errors import BadInput
from portal.forms.audit import TrailForm
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.models import Role

blueprint = Blueprint("audit", __name__, url_prefix="/admin/audit")

PLACES = {"before", "after"}


@blueprint.get("")
@staff_required(Role.OWNER)
def index() -> str:
    """Show the audit log; the URL holds the complete query."""
    return render_template("audit/index.html", actions=search.actions(), **_trail())


@blueprint.get("/events")
@staff_required(Role.OWNER)
def events() -> ResponseReturnValue:
    """Update the events of an open page."""
    found = _trail()
    response = make_response(render_template("audit/_events.html", **found))
    response.headers["HX-Push-Url"] = url_for("audit.index", **found["view"])
    return response


@blueprint.post("/export")
@staff_required(Role.OWNER)
def export() -> Response:
    """Export all pages of the shown events as CSV."""
    query = _query(TrailForm(request.form))
    rows = search.export(query, by=current_account(), origin=origin(), now=utcnow())
    response = Response(within_the_request(_csv(rows)), content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename="audit.csv")
    return response


def _trail() -> dict[str, Any]:
    form = TrailForm(request.args)
    query = _query(form)
    # Only our own names go into links: others could override parameters of `url_for`.
    view = {name: value for name, value in request.args.items() if name in form and value}
    filters = {name: value for name, value in view.items() if name not in PLACES}
    return {"form": form, "page": search.find(query), "view": view, "filters": filters}


def _query(form: TrailForm) -> Query:
    if not form.validate():
        raise BadInput("This link to the audit log is broken. Start again from the first page.")
    return Query(
        text=(form.q.data or "").strip(),
        action=(form.action.data or "").strip(),
        actor=(form.actor.data or "").strip(),
        subject=UUID(form.subject.data) if form.subject.data else None,
        since=form.since.data,
        until=form.until.data,
        before=form.before.data,
        after=form.after.data,
    )


def _csv(rows: Iterable[list[str]]) -> Iterator[str]:
    # Spreadsheets recognise UTF-8 only by a byte order mark.
    yield "\N{BYTE ORDER MARK}"
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(row)
        yield line.getvalue()
