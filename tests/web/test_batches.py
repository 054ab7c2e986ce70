"""Batches on their pages: issue, watch, act on all, print."""

import re
from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.db.types import new_id
from portal.domain.accounts import accounts
from portal.domain.batches import batches
from portal.domain.operations import worker_tasks
from portal.domain.operations.worker_tasks import Task
from portal.models import (
    Account,
    AuditEvent,
    Batch,
    BatchState,
    Invitation,
    Role,
    Status,
    TaskKind,
)
from portal.ops import worker
from tests import factories
from tests.pages import Page, PageClient, words

Ask = Callable[[sa.Select[Any]], list[Any]]

FORM = {"name": "Hall A", "size": "3", "validity": "days", "days": "7", "uses": "one"}


def sent(browser: PageClient, **changes: str) -> Any:
    """The answer to the form for a batch."""
    return browser.submit("/admin/batches", FORM | {"key": str(new_id())} | changes)


@pytest.fixture
def make(app: Flask) -> Callable[..., UUID]:
    """Makes an issued batch of whoever is named."""

    def make(username: str, **changes: Any) -> UUID:
        with app.app_context():
            by = accounts.find(username)
            assert by is not None
            return factories.batch(by, utcnow(), **changes).id

    return make


def of(batch: UUID) -> sa.Select[Any]:
    """Its invitations."""
    return sa.select(Invitation).where(Invitation.batch_id == batch).order_by(Invitation.id)


def test_a_small_batch_is_there_at_once(alice: PageClient, ask: Ask) -> None:
    answer = sent(alice)

    assert answer.status_code == 303
    page = alice.page(answer.location)
    assert "Hall A" in page.words
    assert "What became of them" in page.words
    assert "3 invitations" in page.words
    assert len(ask(sa.select(Invitation))) == 3


def test_a_form_that_is_sent_twice_issues_once(alice: PageClient, ask: Ask) -> None:
    key = str(new_id())
    first, second = sent(alice, key=key), sent(alice, key=key)

    assert first.location == second.location
    assert len(ask(sa.select(Invitation))) == 3


def test_the_form_brings_a_key_of_its_own(alice: PageClient) -> None:
    keys = {alice.page("/admin/batches/new").fields["key"] for _ in range(2)}
    assert len(keys) == 2


def test_a_large_batch_is_left_to_the_worker_and_shows_how_far_it_is(
    alice: PageClient, app: Flask, ask: Ask
) -> None:
    location = sent(alice, size="12000").location
    assert ask(sa.select(Invitation)) == []
    with app.app_context():
        batches.advance(UUID(location[-36:]), origin=factories.device(), now=utcnow())

    fragment = alice.get(f"{location}/progress")

    assert "5,000 of 12,000 codes drawn" in words(fragment)
    assert 'hx-trigger="every 1s"' in fragment.text
    assert "HX-Refresh" not in fragment.headers
    assert "5,000 of 12,000 codes drawn" in alice.page(location).words


def test_progress_that_is_over_brings_the_whole_page(
    alice: PageClient, make: Callable[..., UUID]
) -> None:
    answer = alice.get(f"/admin/batches/{make('alice')}/progress")

    assert answer.headers["HX-Refresh"] == "true"
    assert "hx-trigger" not in answer.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": "0"}, "Number must be at least 1."),
        ({"size": "100001"}, "A batch has between 1 and 100,000 codes."),
        ({"size": "many"}, "Not a valid integer value."),
        ({"name": ""}, "Name the batch."),
        ({"name": "a\nb"}, "Use one line of plain text."),
        ({"days": ""}, "Enter a number of days."),
    ],
)
def test_what_makes_no_batch_is_said(
    alice: PageClient, ask: Ask, changes: dict[str, str], said: str
) -> None:
    answer = sent(alice, **changes)

    assert answer.status_code == 422
    assert said in words(answer)
    assert ask(sa.select(Batch)) == []


def test_the_funnel_tells_what_became_of_them(
    alice: PageClient, app: Flask, make: Callable[..., UUID]
) -> None:
    batch = make("alice", size=4)
    with app.app_context():
        first, *_ = batches.issued(batch)
        code = factories.code_of(first)
        factories.redeem(code, origin=factories.device(), now=utcnow())

    said = alice.page(f"/admin/batches/{batch}").words

    assert "Issued 4 100 %" in said
    assert "Redeemed 1 25 %" in said
    assert "Expired 0 0 %" in said
    assert "Mailed" not in said


def test_the_rows_go_on_page_by_page(alice: PageClient, make: Callable[..., UUID]) -> None:
    url = f"/admin/batches/{make('alice', size=60)}"
    first = alice.get(url)
    onward = Page(first.text).links["On →"]
    second = alice.get(onward)

    def hints(html: str) -> list[str]:
        return re.findall(r"</span>(\w{4})</span>", html)

    assert (len(hints(first.text)), len(hints(second.text))) == (50, 10)
    assert "On →" not in Page(second.text).links
    fragment = alice.get(onward.replace("?", "/rows?"))
    assert fragment.headers["HX-Push-Url"] == onward
    assert hints(fragment.text) == hints(second.text)


def test_all_that_is_unredeemed_is_revoked(
    alice: PageClient, make: Callable[..., UUID], ask: Ask
) -> None:
    batch = make("alice")
    url = f"/admin/batches/{batch}/revocation"
    assert "Revoke 3 codes of “Guests” that nobody has redeemed?" in alice.page(url).words
    assert "Revoke 3 codes" in words(alice.get(f"{url}/fragment"))

    answer = alice.submit(url)

    assert (answer.status_code, answer.location) == (303, f"/admin/batches/{batch}")
    assert {each.status(utcnow()) for each in ask(of(batch))} == {Status.REVOKED}
    assert "Nothing of “Guests” is left to revoke." in alice.page(url).words


def test_all_of_a_batch_is_extended(alice: PageClient, make: Callable[..., UUID], ask: Ask) -> None:
    batch = make("alice")
    url = f"/admin/batches/{batch}/extension"
    alice.page(url)
    alice.get(f"{url}/fragment")

    assert alice.submit(url, {"validity": "never"}).status_code == 303
    assert {each.expires_at for each in ask(of(batch))} == {None}

    answer = alice.submit(url, {"validity": "date", "ends": "2020-01-01T00:00"})
    assert answer.status_code == 422
    assert "Choose a moment in the future." in words(answer)


def test_cards_show_each_code_with_its_link_eight_a_sheet(
    alice: PageClient, app: Flask, make: Callable[..., UUID], ask: Ask
) -> None:
    batch = make("alice", size=9)
    answer = alice.submit(f"/admin/batches/{batch}/cards")

    assert answer.text.count('class="sheet"') == 2
    assert answer.text.count('class="card"') == 9
    with app.app_context():
        for issued in batches.issued(batch):
            assert factories.code_of(issued) in answer.text
    [event] = ask(sa.select(AuditEvent).where(AuditEvent.action == "batch.codes_shown"))
    assert event.subject_id == batch


def test_many_cards_come_in_parts(
    alice: PageClient, make: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.domain.batches.bulk.CARDS", 4)
    url = f"/admin/batches/{make('alice', size=6)}/cards"
    first = alice.submit(url)
    second = alice.submit(url, {"after": Page(first.text).fields["after"]})

    assert [first.text.count('class="card"'), second.text.count('class="card"')] == [4, 2]
    assert "after" not in Page(second.text).fields


@pytest.mark.parametrize("after", ["nonsense", "'; DROP TABLE batch"])
def test_a_made_up_place_to_go_on_from_is_refused(
    alice: PageClient, make: Callable[..., UUID], after: str
) -> None:
    cards = alice.submit(f"/admin/batches/{make('alice')}/cards", {"after": after})
    assert cards.status_code == 400
    assert alice.get("/admin/batches", query_string={"before": after}).status_code == 400


# case 63
def test_somebody_elses_batch_is_not_there(
    alice: PageClient,
    sign_in: Callable[[Role, str], PageClient],
    make: Callable[..., UUID],
    ask: Ask,
) -> None:
    batch, bob = make("alice"), sign_in(Role.ADMIN, "bob")
    url = f"/admin/batches/{batch}"

    for page in ("", "/progress", "/rows", "/revocation", "/extension"):
        assert bob.get(url + page).status_code == 404
    for action in ("/revocation", "/extension", "/cards"):
        assert bob.submit(url + action, {"validity": "never"}).status_code == 404
    assert "Guests" not in bob.page("/admin/batches").words
    assert {each.status(utcnow()) for each in ask(of(batch))} == {Status.ACTIVE}
    invitation = ask(of(batch))[0].id
    assert "See its batch" not in bob.page(f"/admin/invitations/{invitation}").links
    assert "See its batch" in alice.page(f"/admin/invitations/{invitation}").links


# case 63
def test_the_owner_sees_every_batch(
    alice: PageClient, olivia: PageClient, make: Callable[..., UUID]
) -> None:
    batch = make("alice")

    assert "by alice" in olivia.page("/admin/batches").words
    assert "Made" in olivia.page(f"/admin/batches/{batch}").words


# case 62
def test_a_viewer_meets_no_batch_and_chooses_nothing(
    alice: PageClient, vera: PageClient, make: Callable[..., UUID]
) -> None:
    make("alice")
    page = vera.page("/admin/invitations")

    assert "Batches" not in page.links
    assert "selection" not in page.ids


def test_the_list_is_paged_by_what_came_before(
    alice: PageClient, make: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.web.batches.LISTED", 2)
    for number in range(3):
        make("alice", name=f"Batch {number}", size=1)
    first = alice.page("/admin/batches")
    second = alice.page(first.links["Older →"])

    assert {"Batch 2", "Batch 1"} <= set(first.links)
    assert "Batch 0" in second.links
    assert "Batch 1" not in second.links
    assert second.links["← Newest"] == "/admin/batches"


# case 56
def test_a_name_is_only_a_name(alice: PageClient, ask: Ask) -> None:
    name = '<b hx-get="/x">{{ 7*7 }}</b>'
    answer = alice.get(sent(alice, name=name).location)
    assert name in Page(answer.text).words
    assert ask(sa.select(Batch))[0].name == name


def test_a_batch_that_failed_says_why(
    alice: PageClient, app: Flask, make: Callable[..., UUID]
) -> None:
    batch = make("alice")
    with app.app_context():
        from portal.extensions import db

        failed = db.session.get_one(Batch, batch)
        failed.state, failed.error = BatchState.FAILED, "The file cannot be read."
        db.session.commit()

    page = alice.page(f"/admin/batches/{batch}")
    assert "The file cannot be read. Nothing was issued." in page.words
    assert "Print cards" not in page.words


def test_the_worker_is_asked_after_when_nothing_happens(
    alice: PageClient, app: Flask, ask: Ask
) -> None:
    location = sent(alice, size="12000").location
    assert "Is the worker running?" not in alice.page(location).words
    with app.app_context():
        from portal.extensions import db

        db.session.execute(sa.update(Batch).values(created_at=factories.NOW.replace(year=2020)))
        db.session.commit()
    assert "Is the worker running?" in alice.page(location).words


def test_whoever_made_it_is_counted_as_its_issuer(alice: PageClient, ask: Ask) -> None:
    sent(alice)
    counted = ask(sa.select(Account.invitations_issued).where(Account.username == "alice"))
    assert counted == [3]


# case 85
def test_a_batch_that_was_set_aside_says_so_and_can_be_resumed(
    app: Flask, alice: PageClient, olivia: PageClient, ask: Ask
) -> None:
    batch = UUID(sent(alice, size="1000").location.rpartition("/")[2])
    with app.app_context():
        task = Task(TaskKind.BATCH, str(batch))
        for leases_ago in (2, 1):  # by workers that die
            worker_tasks.begin(task, now=utcnow() - leases_ago * worker_tasks.LEASE)
        worker.run(Event(), once=True)
    page = f"/admin/batches/{batch}"
    for address in (page, f"{page}/progress"):
        assert "This was set aside: twice in a row" in words(alice.get(address))
    assert "Issuing a batch Set aside" in olivia.page("/admin/doctor").words
    assert "1 set aside: each stopped its worker 2 times" in olivia.page("/admin/doctor").words

    assert alice.submit(f"{page}/resumption").location == page

    assert "set aside" not in alice.page(page).words
    assert "None was set aside." in olivia.page("/admin/doctor").words
    with app.app_context():
        worker.run(Event(), once=True)
    assert ask(sa.select(Batch.state).where(Batch.id == batch)) == [BatchState.ISSUED]
