"""Totals: how many invitations there are, without counting them."""

import pytest

from portal.domain.audit import audit
from portal.domain.batches import batches
from portal.domain.errors import CodeTaken
from portal.domain.invitations import api_listing, invitations, issued_counter
from portal.domain.invitations.invitations import Terms
from portal.domain.invitations.listing import Query
from portal.extensions import db
from tests import factories
from tests.domain.outcomes import refused
from tests.factories import NOW, device

pytestmark = pytest.mark.usefixtures("context")


def test_what_is_issued_one_by_one_and_in_batches_is_counted() -> None:
    olivia, oscar = factories.owner(), factories.owner(username="oscar")
    assert issued_counter.issued() == issued_counter.issued(olivia.id) == 0

    for _ in range(issued_counter.SLOTS + 3):
        factories.invitation(olivia)
    factories.invitation(oscar)
    issued_counter.add(olivia.id, 30)
    db.session.commit()

    issued = issued_counter.SLOTS + 33
    assert (issued_counter.issued(olivia.id), issued_counter.issued(oscar.id)) == (issued, 1)
    assert issued_counter.issued() == issued + 1


def test_programs_are_told_the_total_on_every_page() -> None:
    olivia = factories.owner()
    assert api_listing.page(Query(), by=olivia, now=NOW).total == 0
    for _ in range(3):
        factories.invitation(olivia)
    issued_counter.add(olivia.id, 1)
    db.session.commit()
    db.session.refresh(olivia)

    first = api_listing.page(Query(size=2), by=olivia, now=NOW)
    second = api_listing.page(Query(size=2, cursor=first.next or ""), by=olivia, now=NOW)
    third = api_listing.page(Query(size=2), by=olivia, now=NOW, number=3)
    assert [page.total for page in (first, second, third)] == [4, 4, 4]
    assert [len(page.rows) for page in (first, second, third)] == [2, 1, 0]


def test_a_code_that_is_taken_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    olivia = factories.owner()
    factories.invitation(olivia, code="GARDEN-PARTY")
    monkeypatch.setattr(invitations, "_require_free", lambda _code: None)  # as in a race
    with refused(CodeTaken):
        factories.invitation(olivia, code="GARDEN-PARTY")

    assert issued_counter.issued(olivia.id) == 1
    assert [event.action for event in audit.latest(9)].count("invitation.issued") == 1


def test_a_batch_counts_when_it_is_issued() -> None:
    olivia = factories.owner()
    batch = batches.create(Terms(), name="Guests", size=3, by=olivia, origin=device(), now=NOW)
    while batches.advance(batch.id, origin=device(), now=NOW):
        pass

    assert issued_counter.issued(olivia.id) == 3
