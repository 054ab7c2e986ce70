"""Exports as staff take them."""

import csv
from io import BytesIO, StringIO
from typing import Any

from openpyxl import load_workbook
from werkzeug.test import TestResponse

from tests.pages import PageClient, words
from tests.web.conftest import Issue


def rows_of(answer: TestResponse) -> list[dict[str, str]]:
    """What a CSV file holds."""
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    return list(csv.DictReader(StringIO(answer.data.decode("utf-8-sig"))))


def test_the_history_is_exported_as_it_is_shown(olivia: PageClient, issue: Issue) -> None:
    for label in ("Wedding A", "Wedding B", "Other"):
        issue(label=label)
    history = olivia.page("/admin/invitations?q=Wedding&sort=label")
    asked = olivia.page(history.links["export …"])
    assert "Export 2 invitations" in asked.words
    fields: dict[str, Any] = {name: asked.fields[name] for name in ("q", "sort")}

    answer = olivia.submit("/admin/exports", fields | {"format": "csv"})

    assert [row["label"] for row in rows_of(answer)] == ["Wedding A", "Wedding B"]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="invitations-')
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_export_can_be_a_workbook(olivia: PageClient, issue: Issue) -> None:
    issue(label="Wedding")

    answer = olivia.submit("/admin/exports", {"format": "xlsx"})

    [_, row] = load_workbook(BytesIO(answer.data)).active.iter_rows(values_only=True)
    assert "Wedding" in row


def test_those_that_are_ticked_are_exported_alone(alice: PageClient, issue: Issue) -> None:
    chosen, _ = issue(label="Chosen"), issue(label="Other")
    ticked = {"invitation": str(chosen.id)}
    assert "Export 1 invitation" in words(alice.submit("/admin/exports/question", ticked))

    answer = alice.submit("/admin/exports", ticked | {"format": "csv"})

    assert [row["label"] for row in rows_of(answer)] == ["Chosen"]


def test_nothing_ticked_is_said_so(alice: PageClient) -> None:
    answer = alice.submit("/admin/exports/question")
    assert answer.status_code == 422
    assert "Choose some invitations first" in words(answer)


def test_codes_come_only_when_they_are_asked_for(alice: PageClient, issue: Issue) -> None:
    issued = issue()

    assert issued.code not in alice.submit("/admin/exports", {"format": "csv"}).text
    with_codes = alice.submit("/admin/exports", {"format": "csv", "codes": "y"})
    assert rows_of(with_codes)[0]["code"] == issued.code


def test_viewers_are_offered_no_codes_and_get_none(vera: PageClient, issue: Issue) -> None:
    issue()

    assert "With the codes" not in vera.page("/admin/exports/new").words
    assert vera.submit("/admin/exports", {"format": "csv", "codes": "y"}).status_code == 403


def test_a_broken_link_is_refused(alice: PageClient) -> None:
    for query in ("batch=nonsense", "sort=password_hash", "status=nonsense", "size=1000000000"):
        assert alice.get(f"/admin/exports/new?{query}").status_code == 400
    assert alice.submit("/admin/exports", {"invitation": "nonsense"}).status_code in {400, 422}
