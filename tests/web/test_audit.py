"""The audit log, for the owner."""

import pytest

from tests.pages import PageClient
from tests.web.conftest import Issue


def test_the_owner_reads_who_did_what(olivia: PageClient, issue: Issue) -> None:
    issue(label="Garden party")

    page = olivia.page("/admin/audit")

    assert "Issued" in page.words
    assert "Garden party" in page.words
    assert "invitation.issued" in page.words


def test_the_log_is_filtered_by_its_address(olivia: PageClient, issue: Issue) -> None:
    issue(label="Garden party")

    page = olivia.page("/admin/audit?action=session.&actor=olivia")

    assert "Signed in" in page.words
    assert "Garden party" not in page.words


def test_the_fragment_pushes_the_address_of_its_page(olivia: PageClient) -> None:
    answer = olivia.get("/admin/audit/events?q=oli&nonsense=1")

    assert answer.headers["HX-Push-Url"] == "/admin/audit?q=oli"
    assert "<html" not in answer.text


def test_an_export_holds_what_is_shown_and_is_written_down(
    olivia: PageClient, issue: Issue
) -> None:
    issue(label="Garden party")

    answer = olivia.submit("/admin/audit/export", {"action": "invitation."})

    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == "attachment; filename=audit.csv"
    lines = answer.text.splitlines()
    assert len(lines) == 2
    assert "Garden party" in lines[1]
    assert "Audit log exported" in olivia.page("/admin/audit").words


@pytest.mark.parametrize(
    "query", ["since=tomorrow", "subject=nobody", "before=-1", "before=x", f"before={10**30}"]
)
def test_a_broken_link_is_refused(olivia: PageClient, query: str) -> None:  # case 70
    assert olivia.get(f"/admin/audit?{query}").status_code == 400


def test_what_is_written_in_a_label_stays_text(olivia: PageClient, issue: Issue) -> None:
    # case 56
    issue(label="<script>alert(1)</script>")

    assert "<script>alert(1)</script>" in olivia.page("/admin/audit").words
