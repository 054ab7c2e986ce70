"""What became of the invitations: search, sort, and pages of them."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from portal.db.types import new_id
from portal.domain.errors import BadInput, CodeTaken
from portal.domain.invitations import api_listing, codes, listing
from portal.domain.invitations.listing import Page, Query
from portal.extensions import db
from portal.models import Account, Invitation, Status
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

DAY = timedelta(days=1)
LABELS = ["", "alpha", "Alpha", "beta", "Beta 2", "%", "naïve", "Ёлка", "🦔" * 120, "z"]

ORDER: dict[str, Callable[[Invitation], Any]] = {
    "issued": lambda row: row.id,
    "label": lambda row: row.label.lower(),
    "expires": lambda row: row.expires_at or datetime.max.replace(tzinfo=UTC),
    "uses": lambda row: row.uses,
}


def issued(by: Account, count: int, labels: list[str] = LABELS) -> list[Invitation]:
    """Many invitations with ties in every column, and some that never end."""
    rows = []
    for number in range(count):
        row, code = new_id(), codes.draw()
        rows.append(
            Invitation(
                id=row,
                lookup=codes.lookup(code),
                sealed=codes.seal(code, row),
                hint=codes.hint(code),
                created_by_id=by.id,
                created_at=NOW,
                label=labels[number % len(labels)],
                expires_at=None if number % 4 == 0 else NOW + DAY * (1 + number % 5),
                max_uses=None,
                uses=number % 3,
            )
        )
    db.session.add_all(rows)
    by.invitations_issued += count
    db.session.commit()
    return rows


def pages(query: Query, way: str) -> Iterator[Page]:
    """The page of `query`, and every page after it the given way."""
    for _ in range(100):
        page = listing.find(query, now=NOW)
        yield page
        cursor = getattr(page, way)
        if cursor is None:
            return
        query = query._replace(cursor=cursor)
    pytest.fail("the pages never end")


def labels(**terms: Any) -> list[str]:
    """The labels of what is found, oldest first."""
    found = listing.find(Query(descending=False, **terms), now=NOW)
    assert found.total == len(found.rows)
    return [row.label for row in found.rows]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", listing.SORTS)
def test_every_sort_walks_all_rows_once_forwards_and_backwards(sort: str, descending: bool) -> None:
    everything = {row.id for row in issued(factories.owner(), 60)}
    for size in (1, 7, 25, 59, 60, 61):
        query = Query(sort=sort, descending=descending, size=size)

        forwards = list(pages(query, "next"))
        last = forwards[-2].next if len(forwards) > 1 else ""
        backwards = list(pages(query._replace(cursor=last or ""), "previous"))

        walked = [row.id for page in forwards for row in page.rows]
        assert len(walked) == 60
        assert set(walked) == everything
        assert [page.rows for page in reversed(backwards)] == [page.rows for page in forwards]
        assert {page.total for page in forwards} == {60}
        assert all(len(page.rows) == size for page in forwards[:-1])
        assert forwards[0].previous is None
        assert backwards[-1].previous is None


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", listing.SORTS)
def test_every_sort_is_in_order_and_ties_are_in_the_order_of_issue(
    sort: str, descending: bool
) -> None:
    # Only labels on whose order every database agrees, whatever its collation.
    rows = issued(factories.owner(), 60, labels=["", "a", "B", "c", "D"])

    found = listing.find(Query(sort=sort, descending=descending, size=60), now=NOW).rows

    def position(row: Invitation) -> Any:
        return ORDER[sort](row), row.id

    assert [row.id for row in found] == [
        row.id for row in sorted(rows, key=position, reverse=descending)
    ]


def test_what_is_issued_meanwhile_moves_nothing_on_the_next_page() -> None:
    olivia = factories.owner()
    rows = issued(olivia, 6)
    first = listing.find(Query(size=3), now=NOW)
    issued(olivia, 2)

    second = listing.find(Query(size=3, cursor=first.next or ""), now=NOW)

    assert [row.id for row in second.rows] == [row.id for row in reversed(rows[:3])]
    assert second.total == 8


@pytest.mark.parametrize("text", ["", "A"])
def test_what_programs_are_told_by_number_or_by_cursor_is_what_pages_show(text: str) -> None:
    olivia = factories.owner()
    issued(olivia, 20)
    issued(factories.owner(username="oscar"), 2)
    query = Query(text=text, size=7)
    shown = [
        [str(row.id) for row in page.rows]
        for page in pages(query._replace(issued_by=olivia.id), "next")
    ]
    olivia = db.session.get_one(Account, olivia.id, populate_existing=True)

    numbered = [
        api_listing.page(query, by=olivia, now=NOW, number=number)
        for number in range(1, len(shown) + 2)
    ]
    walked = [api_listing.page(query, by=olivia, now=NOW)]
    while walked[-1].next:
        query = query._replace(cursor=walked[-1].next)
        walked.append(api_listing.page(query, by=olivia, now=NOW))

    assert [[row[0] for row in page.rows] for page in numbered] == [*shown, []]
    assert [[row[0] for row in page.rows] for page in walked] == shown
    assert {page.total for page in numbered + walked} == {sum(map(len, shown))}


def test_the_total_is_of_all_that_was_issued_whoever_asks_and_whatever_failed() -> None:
    olivia, oscar = factories.owner(), factories.owner(username="oscar")
    factories.invitation(olivia, code="Garden Party")
    factories.invitation(oscar)
    with refused(CodeTaken):
        factories.invitation(oscar, code="Garden Party")
    factories.invitation(oscar)

    assert listing.find(Query(), now=NOW).total == 3
    assert listing.find(Query(issued_by=olivia.id), now=NOW).total == 1
    assert listing.find(Query(issued_by=oscar.id), now=NOW).total == 2


def test_the_last_day_there_is_ends_no_period() -> None:
    factories.invitation(factories.owner(), label="now")

    assert labels(until=date.max) == ["now"]


def test_an_empty_history_is_one_empty_page() -> None:
    assert listing.find(Query(), now=NOW) == Page(rows=[], total=0, previous=None, next=None)


def test_a_cursor_fits_into_a_form_whatever_the_label() -> None:
    issued(factories.owner(), 3, labels=["🦔" * 120])

    cursor = listing.find(Query(sort="label", size=1), now=NOW).next

    assert cursor is not None
    assert len(cursor) <= 1000


def made_up(*content: object) -> str:
    """A cursor as somebody would make it up who knows how they look."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@pytest.mark.parametrize("sort", listing.SORTS)
@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "....",
        "\0",
        "[" * 1000,
        made_up(),
        made_up("after", "9" * 30, "0" * 32),
        made_up("after", 10**30, "0" * 32),
        made_up("after", float("inf"), "0" * 32),
        made_up("after", "2026-11-21", "0" * 32),
        made_up("after", "\0", "0" * 32),
        made_up("after", "\ud800", "0" * 32),
        made_up("after", None, None),
    ],
)
def test_a_made_up_cursor_is_refused(sort: str, cursor: str) -> None:
    factories.invitation(factories.owner())
    with refused(BadInput):
        listing.find(Query(sort=sort, cursor=cursor), now=NOW)


def test_a_cursor_that_was_touched_is_refused() -> None:
    issued(factories.owner(), 2)
    cursor = listing.find(Query(size=1), now=NOW).next or ""

    for broken in (cursor[:-2], cursor[1:], cursor + "A", cursor.swapcase()):
        with refused(BadInput):
            listing.find(Query(size=1, cursor=broken), now=NOW)


def test_a_cursor_of_another_sort_is_refused() -> None:
    issued(factories.owner(), 2)
    cursor = listing.find(Query(sort="uses", size=1), now=NOW).next or ""

    with refused(BadInput):
        listing.find(Query(sort="label", size=1, cursor=cursor), now=NOW)


@pytest.mark.parametrize("sort", ["", "password_hash", "id; DROP TABLE invitation"])
def test_an_unknown_sort_is_refused(sort: str) -> None:  # case 59
    with refused(BadInput):
        listing.find(Query(sort=sort), now=NOW)


def test_search_finds_labels_and_recipients_in_any_case() -> None:
    olivia = factories.owner()
    factories.invitation(olivia, label="Press evening")
    factories.invitation(olivia, label="Garden", recipient="press@example.org")
    factories.invitation(olivia, label="Concert")

    assert labels(text="PRESS") == ["Press evening", "Garden"]
    assert labels(text="example.org") == ["Garden"]
    assert labels(text="nothing like it") == []


def test_search_takes_every_character_as_it_is() -> None:
    olivia = factories.owner()
    for label in ("100 %", "100 percent", "a_b", "aXb", r"back\slash"):
        factories.invitation(olivia, label=label)

    assert labels(text="0 %") == ["100 %"]
    assert labels(text="a_b") == ["a_b"]
    assert labels(text="\\") == [r"back\slash"]
    assert labels(text="'") == []
    assert labels(text="\0") == []


def test_search_finds_a_whole_code_however_it_is_typed_but_no_part_of_it() -> None:
    olivia = factories.owner()
    mine = factories.invitation(olivia, label="mine")
    factories.invitation(olivia, label="another")
    code = code_of(mine)

    assert labels(text=code) == ["mine"]
    assert labels(text=code.lower().replace("-", " ")) == ["mine"]
    assert labels(text=code[:-1]) == []
    assert labels(text=mine.hint) == []


@pytest.mark.parametrize("status", Status)
def test_the_filter_by_status_agrees_with_the_invitation_itself(status: Status) -> None:
    rows = factories.one_of_each_status()
    assert [stored(row).status(NOW) for row in rows.values()] == list(rows)

    found = listing.find(Query(statuses=(status,)), now=NOW)

    assert [row.id for row in found.rows] == [rows[status].id]


def test_the_filter_takes_several_states() -> None:
    rows = factories.one_of_each_status()
    over = (Status.EXPIRED, Status.USED, Status.REVOKED)

    found = listing.find(Query(statuses=over), now=NOW)

    assert {row.id for row in found.rows} == {rows[status].id for status in over}
    assert found.total == 3


def test_status_is_the_same_answer_from_the_database_at_any_moment() -> None:
    factories.one_of_each_status()
    olivia = db.session.query(Account).one()
    both = factories.invitation(olivia, starts_at=NOW + DAY, expires_at=NOW + 2 * DAY)
    factories.redeem(code_of(both), origin=device(), now=NOW + DAY)
    db.session.expunge_all()

    moments = [NOW + day * DAY + tick for day in range(9) for tick in (-TICK, 0 * TICK, TICK)]
    for now in moments:
        asked = db.session.query(Invitation, Invitation.status_at(now)).all()
        assert {row.id: state for row, state in asked} == {
            row.id: row.status(now).value for row, _ in asked
        }


TICK = timedelta(microseconds=1)


def test_a_period_includes_both_of_its_days() -> None:
    olivia = factories.owner()
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    for label, moment in (
        ("the day before", midnight - TICK),
        ("morning", midnight),
        ("evening", midnight + DAY - TICK),
        ("the day after", midnight + DAY),
    ):
        factories.invitation(olivia, now=moment, label=label)
    day = date(2026, 11, 21)

    assert labels(since=day, until=day) == ["morning", "evening"]
    assert labels(since=day) == ["morning", "evening", "the day after"]
    assert labels(until=day) == ["the day before", "morning", "evening"]
    assert labels(since=day + DAY, until=day) == []


def test_the_history_can_be_of_one_issuer() -> None:
    olivia, oscar = factories.owner(), factories.owner(username="oscar")
    factories.invitation(olivia, label="hers")
    factories.invitation(oscar, label="his")

    assert labels(issued_by=olivia.id) == ["hers"]


def test_every_filter_narrows_the_others() -> None:
    olivia = factories.owner()
    factories.invitation(olivia, label="press")
    factories.invitation(olivia, label="press later", starts_at=NOW + DAY)
    factories.invitation(olivia, label="concert")

    assert labels(text="press", statuses=(Status.ACTIVE,), since=NOW.date()) == ["press"]


SOON, SOONER = NOW + timedelta(microseconds=1_230_007), NOW + timedelta(seconds=1)


@pytest.mark.parametrize("ends", [[SOON, SOONER], [None, SOON, None, SOONER], [None], []])
@pytest.mark.parametrize("own_code", ["", "ROCK-2026", "É" * 6])
def test_what_is_listed_column_by_column_is_written_as_row_by_row(
    ends: list[datetime | None], own_code: str
) -> None:
    olivia = factories.owner()
    rows = [factories.invitation(olivia, expires_at=end) for end in ends]
    if own_code:
        rows.append(factories.invitation(olivia, code=own_code))

    found = api_listing.page(Query(), by=olivia, now=NOW).rows

    assert found == [api_listing.listed(row, now=NOW) for row in reversed(rows)]
