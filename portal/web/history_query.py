"""The history query of a URL, or of a form that carries it along."""

from collections.abc import Mapping

from werkzeug.datastructures import MultiDict
from wtforms import SelectChoice

from portal.domain.errors import BadInput
from portal.domain.invitations.listing import Query
from portal.forms.invitations import HistoryForm
from portal.models import Status

PAGE_SIZES = (10, 25, 50, 100)
DEFAULT_VIEW = {"status": "", "sort": "-issued", "size": "25"}
SORTS = {
    "-issued": "Newest first",
    "issued": "Oldest first",
    "label": "Label, A to Z",
    "-label": "Label, Z to A",
    "expires": "Ending soonest",
    "-expires": "Ending latest",
    "-uses": "Most used",
    "uses": "Least used",
}


def form_of(values: Mapping[str, str]) -> HistoryForm:
    """Fill in the history form; raises `BadInput`."""
    form = HistoryForm(MultiDict(DEFAULT_VIEW | dict(values)))
    states = (SelectChoice(status, status.title()) for status in Status)
    form.status.choices = [SelectChoice("", "Any state"), *states]
    form.sort.choices = [SelectChoice(sort, words) for sort, words in SORTS.items()]
    form.size.choices = [SelectChoice(str(size)) for size in PAGE_SIZES]
    if not form.validate():
        raise BadInput("This link to the history is broken. Start again from the first page.")
    return form


def query_of(form: HistoryForm) -> Query:
    """The query of the form."""
    return Query(
        text=(form.q.data or "").strip(),
        statuses=(Status(form.status.data),) if form.status.data else (),
        since=form.since.data,
        until=form.until.data,
        sort=form.sort.data.removeprefix("-"),
        descending=form.sort.data.startswith("-"),
        size=form.size.data,
        cursor=form.cursor.data or "",
    )


def view_of(form: HistoryForm, values: Mapping[str, str]) -> dict[str, str]:
    """Parameters for links to the same view; only our own names, since `url_for` has some too."""
    return {
        name: value
        for name, value in values.items()
        if name in form and value != DEFAULT_VIEW.get(name, "")
    }
