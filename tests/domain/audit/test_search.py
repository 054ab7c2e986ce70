"""Looking through the audit log."""

import csv
import io
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from portal.domain.audit import audit, search
from portal.domain.audit.search import Query
from portal.domain.errors import NotAllowed
from portal.extensions import db
from portal.models import Account, Role
from tests import factories
from tests.domain.outcomes import refused
from tests.factories import NOW, device

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def olivia(context: None) -> Account:
    """The owner; that is event 1."""
    return factories.owner()


def happen(
    action: str, day: int = 0, subject: UUID | None = None, by: Account | None = None
) -> None:
    """Something happens, so many days later."""
    audit.record(
        action,
        now=NOW + timedelta(days=day),
        origin=device("phone", "198.51.100.7"),
        actor=by.id if by else None,
        subject=subject,
    )
    db.session.commit()


def numbers(**query: object) -> list[int]:
    """The numbers of the events that are found, in the order of the page."""
    return [entry.event.number for entry in search.find(Query(**query)).entries]  # type: ignore[arg-type]


def test_the_newest_event_comes_first(olivia: Account) -> None:
    happen("tea.poured")
    happen("tea.cooled")

    assert numbers() == [3, 2, 1]


def test_events_are_found_by_what_was_done_by_whom_to_what_and_when(olivia: Account) -> None:
    cup = uuid4()
    happen("tea.poured", by=olivia)
    happen("tea.cooled", day=2, subject=cup)
    happen("coffee.poured", day=4)

    assert numbers(action="tea.") == [3, 2]
    assert numbers(action="tea.poured") == [2]
    assert numbers(actor="Olivia", action="tea.") == [2]
    assert numbers(actor="nobody") == []
    assert numbers(subject=cup) == [3]
    assert numbers(since=NOW.date() + timedelta(days=2)) == [4, 3]
    assert numbers(until=NOW.date() + timedelta(days=2)) == [3, 2, 1]


def test_events_are_searched_for_names_labels_addresses_and_devices(olivia: Account) -> None:
    party = factories.invitation(olivia, label="Garden party")
    happen("tea.poured", subject=party.id)
    happen("tea.cooled", by=olivia)

    assert numbers(text="garden") == [3, 2]
    assert 4 in numbers(text="OLIV")
    assert numbers(text="198.51.100.7") == [4, 3]
    assert numbers(text=device("phone").device_digest[:10]) == [4, 3]
    assert numbers(text="100%") == []
    assert numbers(text="\0") == []


def test_pages_lead_to_the_end_and_back(olivia: Account) -> None:
    for _ in range(6):
        happen("tea.poured")

    first = search.find(Query(size=3))
    second = search.find(Query(size=3, before=first.older))
    third = search.find(Query(size=3, before=second.older))
    back = search.find(Query(size=3, after=second.newer))

    assert [entry.event.number for entry in second.entries] == [4, 3, 2]
    assert [entry.event.number for entry in third.entries] == [1]
    assert (first.newer, third.older) == (None, None)
    assert [entry.event.number for entry in back.entries] == [7, 6, 5]
    assert (back.newer, back.older) == (None, 5)


def test_an_event_names_who_did_it_and_what_it_is_about(olivia: Account) -> None:
    party = factories.invitation(olivia, label="Garden party")
    alice = factories.staff(Role.ADMIN, "alice")
    happen("account.greeted", subject=alice.id, by=olivia)

    greeting, _, issued, _ = search.find(Query()).entries

    assert (greeting.actor, greeting.about) == ("olivia", "alice")
    assert (issued.about, issued.is_about_invitation) == (party.label, True)


def test_a_batch_is_named_as_well(olivia: Account) -> None:
    factories.batch(olivia, name="Guests of the hall")

    [newest, *_] = search.find(Query(text="of the hall")).entries

    assert (newest.event.action, newest.about) == ("batch.issued", "Guests of the hall")


def test_an_export_holds_every_event_and_no_formula(olivia: Account) -> None:  # case 53
    factories.invitation(olivia, label="=HYPERLINK(1)")

    rows = list(search.export(Query(), by=olivia, origin=device(), now=NOW))

    table = list(csv.DictReader(io.StringIO("\n".join(",".join(row[:6]) for row in rows))))
    assert [row["number"] for row in table] == ["1", "2", "3"]
    assert table[1]["about"] == "'=HYPERLINK(1)"
    assert table[2]["action"] == "audit.exported"


def test_only_an_owner_exports_the_log(olivia: Account) -> None:
    alice = factories.staff(Role.ADMIN, "alice")

    with refused(NotAllowed):
        search.export(Query(), by=alice, origin=device(), now=NOW)


def test_the_actions_of_late_are_known(olivia: Account) -> None:
    happen("tea.poured")
    happen("tea.poured")

    assert search.actions() == ["account.registered", "tea.poured"]
