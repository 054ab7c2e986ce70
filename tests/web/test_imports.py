"""Recipients from a file: upload, preview, confirmation."""

from collections.abc import Callable
from io import BytesIO
from threading import Event, Semaphore
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import sqlalchemy as sa
from flask import Flask
from limits import RateLimitItemPerHour
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from portal.clock import utcnow
from portal.domain import sandbox
from portal.domain.audit import audit
from portal.domain.imports import tables
from portal.domain.imports import uploads as imports
from portal.domain.imports.uploads import CHUNK
from portal.domain.lockout import upload_limits
from portal.domain.operations import worker_tasks
from portal.extensions import db
from portal.http.headers import LARGEST_UPLOAD
from portal.models import (
    Batch,
    BatchRow,
    BatchState,
    BatchUpload,
    Invitation,
    Mail,
    Role,
    TaskKind,
    WorkerTask,
)
from portal.ops import worker
from tests.pages import PageClient, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[Any]], list[Any]]

GUESTS = b"""E-mail;Name;Label;Uses
ana@example.org;Ana Putri;Table 1;2
budi@example.org;Budi;;
nonsense;Nobody;;
ana@example.org;Ana again;;
ina@example.org;Ina;;
"""

LINES = b"\nana@example.org\nbudi@example.org\n"

FORM = {"validity": "days", "days": "7", "uses": "one", "language": "en"}


def upload(browser: PageClient, content: bytes = GUESTS, **fields: str) -> TestResponse:
    """Send a file, with the other fields as the page has them."""
    form = FORM | {"csrf_token": browser.token()} | fields
    file = FileStorage(BytesIO(content), "guests.csv", "file")
    # In memory: Werkzeug's client would leave a large body in a file that it never closes.
    boundary, body = encode_multipart(form | {"file": file})
    kind = f"multipart/form-data; boundary={boundary}"
    return browser.post("/admin/imports", data=body, content_type=kind)


def preview(browser: PageClient, content: bytes = GUESTS, **fields: str) -> str:
    """Send a file; the address of its preview."""
    answer = upload(browser, content, **fields)
    assert answer.status_code == 303, words(answer)
    return answer.location


def test_a_file_becomes_a_preview_and_by_one_confirmation_invitations(
    alice: PageClient, issue: Issue, ask: Ask
) -> None:
    issue(recipient="ina@example.org")
    page = preview(alice)
    shown = alice.page(page).words
    assert "2 Good 1 Faulty 1 Duplicated 1 Already invited" in shown
    assert "“nonsense” is not an e-mail address." in shown
    assert len(ask(sa.select(Invitation.id))) == 1

    answer = alice.submit(f"{page}/confirmation")

    assert answer.location == page.replace("imports", "batches")
    alice.page(answer.location)
    found = ask(sa.select(Invitation).where(Invitation.batch_id.is_not(None)))
    assert {(one.recipient, one.recipient_name, one.label, one.max_uses) for one in found} == {
        ("ana@example.org", "Ana Putri", "Table 1", 2),
        ("budi@example.org", "Budi", "", 1),
    }
    assert not ask(sa.select(BatchRow.number))
    assert not ask(sa.select(BatchUpload.number))


def test_each_kind_of_row_has_its_page(alice: PageClient, issue: Issue) -> None:
    issue(recipient="ina@example.org")
    page = preview(alice)

    assert "ana@example.org Ana Putri 2 Table 1 2 devices" in alice.page(f"{page}?show=good").words
    assert "The same address is in line 2." in alice.page(f"{page}?show=duplicate").words
    assert "ina@example.org Ina 6" in alice.page(f"{page}?show=invited").words
    assert alice.get(f"{page}?show=all").status_code == 400


def test_long_previews_have_pages(alice: PageClient) -> None:
    page = preview(alice, b"email\n" + b"".join(b"wrong%d\n" % number for number in range(60)))
    first = alice.page(page)
    assert "wrong48" in first.words
    assert "wrong50" not in first.words

    assert "wrong59" in alice.page(first.links["Next lines →"]).words


def test_those_invited_before_are_invited_again_if_asked(
    alice: PageClient, issue: Issue, ask: Ask
) -> None:
    issue(recipient="ina@example.org")
    page = preview(alice)

    alice.submit(f"{page}/confirmation", {"again": "y"})

    held = ask(sa.select(Invitation.id).where(Invitation.recipient == "ina@example.org"))
    assert len(held) == 2


def test_everybody_gets_a_mail_if_that_is_ticked(alice: PageClient, ask: Ask) -> None:
    page = preview(alice, mailed="y")
    assert "and mailed to each" in alice.page(page).words

    alice.submit(f"{page}/confirmation")

    assert set(ask(sa.select(Mail.recipient))) == {
        "ana@example.org",
        "budi@example.org",
        "ina@example.org",
    }


def test_confirming_twice_invites_once(alice: PageClient, ask: Ask) -> None:
    page = preview(alice)

    assert alice.submit(f"{page}/confirmation").status_code == 303
    assert alice.submit(f"{page}/confirmation").status_code == 303

    assert len(ask(sa.select(Invitation.id))) == 3


def test_a_file_without_anybody_good_cannot_be_confirmed(alice: PageClient, ask: Ask) -> None:
    page = preview(alice, b"email\nnonsense\n")

    answer = alice.submit(f"{page}/confirmation")

    assert answer.location == page
    assert "There is nobody to invite" in alice.page(page).words
    assert ask(sa.select(Batch.state)) == [BatchState.PREVIEW]


def test_a_preview_tells_who_was_invited_since_it_was_opened(
    alice: PageClient, issue: Issue, ask: Ask
) -> None:
    page = preview(alice, b"email\nana@example.org\n")
    issue(recipient="ana@example.org")

    alice.submit(f"{page}/confirmation")

    shown = alice.page(page).words
    assert "all are invited already" in shown
    assert "0 Good 0 Faulty 0 Duplicated 1 Already invited" in shown
    assert ask(sa.select(Batch.state)) == [BatchState.PREVIEW]


def test_who_another_import_is_about_to_invite_is_invited_already(
    alice: PageClient, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setattr("portal.domain.batches.batches.AT_ONCE", 0)  # the worker is to issue it
    alice.submit(f"{preview(alice, b'email' + LINES)}/confirmation")
    assert ask(sa.select(Batch.state)) == [BatchState.ISSUING]

    page = preview(alice, b"email" + LINES + b"ina@example.org\n")

    assert "1 Good 0 Faulty 0 Duplicated 2 Already invited" in alice.page(page).words


def test_a_preview_can_be_discarded(alice: PageClient, ask: Ask) -> None:
    page = preview(alice)

    alice.submit(f"{page}/removal")

    assert alice.get(page).status_code == 404
    assert not ask(sa.select(BatchRow.number))


def test_a_long_preview_is_discarded_piece_by_piece(
    alice: PageClient, monkeypatch: pytest.MonkeyPatch, ask: Ask
) -> None:
    monkeypatch.setattr("portal.domain.imports.preview.CHUNK", 2)
    page = preview(alice)

    alice.submit(f"{page}/removal")

    assert not ask(sa.select(Batch.id))
    assert not ask(sa.select(BatchRow.number))


def test_pasted_addresses_are_read_like_a_file(alice: PageClient, ask: Ask) -> None:
    pasted = "ana@example.org, Budi Santoso <budi@example.org>\nnonsense"
    page = alice.submit("/admin/imports", FORM | {"pasted": pasted}).location

    assert "2 Good 1 Faulty" in alice.page(page).words
    alice.submit(f"{page}/confirmation")

    assert set(ask(sa.select(Invitation.recipient_name))) == {None, "Budi Santoso"}


@pytest.mark.parametrize("pasted", ["", "ana@example.org"])
def test_a_file_or_else_a_list_is_asked_for(alice: PageClient, pasted: str) -> None:
    file = {"file": (BytesIO(GUESTS), "guests.csv")} if pasted else {}

    answer = alice.submit("/admin/imports", FORM | file | {"pasted": pasted})

    assert answer.status_code == 422
    assert "Choose a file, or else paste addresses." in words(answer)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "This file is empty."),
        (b"email;e-mail\na@example.org;b@example.org\n", "the same heading"),
        (b"email;name\n", "There is nobody in this file"),
        (b"PK\3\4 is no workbook", "This workbook is broken"),
    ],
)
def test_a_file_that_is_no_table_is_refused(
    alice: PageClient, content: bytes, sentence: str
) -> None:
    answer = upload(alice, content)
    shown = words(answer) if answer.status_code == 422 else alice.page(answer.location).words
    assert sentence in shown


# case 83
def test_a_workbook_that_is_nested_deeply_is_refused(alice: PageClient) -> None:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<a>" * 1_000_000)

    answer = upload(alice, file.getvalue())

    assert "This workbook is too large." in alice.page(answer.location).words


# case 83
@pytest.mark.parametrize("obstacle", ["slow", "busy"])
def test_a_file_that_cannot_be_read_at_once_is_left_to_the_worker(
    app: Flask, alice: PageClient, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    with monkeypatch.context() as patch:
        if obstacle == "slow":
            patch.setattr(tables, "HASTY", tables.HASTY._replace(memory=1))
        else:
            patch.setattr(sandbox, "_places", Semaphore(0))
        page = preview(alice)
    assert "Reading the file" in alice.page(page).words

    with app.app_context():
        worker.run(Event(), once=True)

    assert "3 Good" in alice.page(page).words


# case 83
def test_a_file_that_takes_the_worker_too_long_has_failed(
    app: Flask, alice: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "HASTY", tables.HASTY._replace(memory=1))
    page = preview(alice)

    with app.app_context():
        [batch] = imports.unread()
        imports.read(batch, clock=utcnow, limits=tables.PATIENT._replace(memory=1))

    assert "takes too long, or too much memory, to read" in alice.page(page).words


def test_one_account_sends_so_many_files_an_hour(
    alice: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_limits, "IMPORTS", RateLimitItemPerHour(1, namespace="few"))
    assert upload(alice).status_code == 303

    answer = upload(alice)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert "You have sent too many files." in words(answer)


# case 85
def test_an_import_that_was_set_aside_says_so_and_can_be_resumed_or_discarded(
    app: Flask, alice: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "HASTY", tables.HASTY._replace(memory=1))
    page = preview(alice)
    set_aside(app, TaskKind.IMPORT, page.rpartition("/")[2])
    for address in (page, f"{page}/progress"):
        assert "This was set aside: twice in a row" in words(alice.get(address))

    resumed = alice.submit(page.replace("imports", "batches") + "/resumption")

    assert (resumed.status_code, resumed.location) == (303, page)
    assert "set aside" not in alice.page(page).words
    set_aside(app, TaskKind.IMPORT, page.rpartition("/")[2])
    assert alice.submit(f"{page}/removal").status_code == 303
    with app.app_context():
        assert worker_tasks.troubled() == []


def set_aside(app: Flask, kind: TaskKind, id: str) -> None:
    """As if two workers had died of it."""
    with app.app_context():
        values = {"kind": kind, "key": id, "deaths": 2, "failures": 0}
        db.session.execute(
            sa.insert(WorkerTask).values(due_at=utcnow(), set_aside_at=utcnow(), **values)
        )
        db.session.commit()


def test_a_long_file_is_left_to_the_worker(app: Flask, alice: PageClient, ask: Ask) -> None:
    count = imports.AT_ONCE + CHUNK + 1
    rows = b"".join(b"guest%d@example.org\n" % number for number in range(count))
    page = preview(alice, rows)
    shown = alice.page(page).words
    assert "4,000 lines read." in shown
    assert ask(sa.select(Batch.state)) == [BatchState.READING]
    assert alice.get(f"{page}/progress").headers.get("HX-Refresh") is None
    assert alice.submit(f"{page}/confirmation").status_code == 400

    app.test_cli_runner().invoke(args=["outbox", "run", "--once"])

    assert alice.get(f"{page}/progress").headers["HX-Refresh"] == "true"
    assert f"{count:,} Good" in alice.page(page).words
    alice.submit(f"{page}/confirmation")
    app.test_cli_runner().invoke(args=["outbox", "run", "--once"])
    assert ask(sa.select(sa.func.count()).select_from(Invitation)) == [count]


# --- Who may ---


def test_somebody_elses_import_is_not_there_but_for_the_owner(
    alice: PageClient, olivia: PageClient, sign_in: Callable[[Role, str], PageClient], ask: Ask
) -> None:
    page = preview(alice)
    adam = sign_in(Role.ADMIN, "adam")

    assert adam.get(page).status_code == 404
    assert adam.get(f"{page}/progress").status_code == 404
    assert adam.submit(f"{page}/confirmation").status_code == 404
    assert adam.submit(f"{page}/removal").status_code == 404
    assert olivia.get(page).status_code == 200
    assert ask(sa.select(Batch.state)) == [BatchState.PREVIEW]


def test_only_signed_in_staff_may_send_more_than_a_picture(
    alice: PageClient, newcomer: Callable[[], PageClient]
) -> None:
    large = b"email\n" + b"guest@example.org\n" * 400_000
    assert len(large) > LARGEST_UPLOAD

    assert upload(newcomer(), large).location.startswith("/login")
    assert upload(alice, large).location.startswith("/admin/imports/")


def test_other_pages_keep_their_limit(alice: PageClient) -> None:
    assert alice.post("/admin/batches", data=b"x" * 2 * 1024 * 1024).status_code == 413


def test_an_import_is_audited(app: Flask, alice: PageClient) -> None:
    page = preview(alice)
    alice.submit(f"{page}/confirmation")

    with app.app_context():
        told = [event.action for event in audit.latest(3)]
    assert told == ["batch.issued", "import.confirmed", "import.received"]
