"""What is done to many at once: to a batch, and to those chosen by hand."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from portal.db.types import new_id
from portal.domain.audit import audit
from portal.domain.batches import batches, bulk, funnel
from portal.domain.errors import BadInput, BatchNotIssued, NotAllowed
from portal.domain.invitations import codes, redemptions
from portal.extensions import db
from portal.models import Account, Batch, Invitation, Role, Status
from tests import factories
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

LATER = NOW + timedelta(days=30)


@pytest.fixture
def olivia(context: None) -> Account:
    return factories.owner()


@pytest.fixture
def guests(olivia: Account) -> Batch:
    """Three codes, the first of which was redeemed."""
    batch = factories.batch(olivia)
    first, *_ = batches.issued(batch.id)
    factories.redeem(code_of(first), origin=device(), now=NOW)
    return batch


def states(batch: Batch) -> list[Status]:
    """The state of each, in the order they were drawn."""
    db.session.expire_all()
    return [issued.status(NOW) for issued in batches.issued(batch.id)]


def ids(batch: Batch) -> list[UUID]:
    return [issued.id for issued in batches.issued(batch.id)]


def test_what_nobody_has_redeemed_is_revoked_and_nothing_else(
    olivia: Account, guests: Batch
) -> None:
    other = factories.batch(olivia)
    assert bulk.count_unredeemed(guests, by=olivia) == 2

    assert bulk.revoke_unredeemed(guests, by=olivia, origin=device(), now=NOW) == 2

    assert states(guests) == [Status.USED, Status.REVOKED, Status.REVOKED]
    assert states(other) == [Status.ACTIVE] * 3
    assert audit.latest(1)[0].details == {"invitations": 2}


def test_revoking_a_batch_twice_changes_nothing(olivia: Account, guests: Batch) -> None:
    bulk.revoke_unredeemed(guests, by=olivia, origin=device(), now=NOW)
    events = len(audit.latest(100))

    assert bulk.revoke_unredeemed(guests, by=olivia, origin=device(), now=NOW) == 0
    assert len(audit.latest(100)) == events


def test_a_batch_is_extended_but_for_what_is_revoked(olivia: Account, guests: Batch) -> None:
    _, second, third = ids(guests)
    bulk.revoke([second], by=olivia, origin=device(), now=NOW)

    extended = bulk.extend_batch(guests, expires_at=LATER, by=olivia, origin=device(), now=NOW)

    assert extended == 2
    assert db.session.get(Invitation, third, populate_existing=True).expires_at == LATER
    assert batches.get(guests.id, by=olivia).expires_at == LATER


def test_what_opens_only_later_is_not_made_to_end_before(olivia: Account) -> None:
    opens = NOW + timedelta(days=9)
    batch = factories.batch(olivia, starts_at=opens, expires_at=None)
    ends = NOW + timedelta(days=3)

    assert bulk.extend_batch(batch, expires_at=ends, by=olivia, origin=device(), now=NOW) == 0
    assert bulk.extend(ids(batch), expires_at=ends, by=olivia, origin=device(), now=NOW) == 0


def test_an_end_that_has_passed_is_refused(olivia: Account, guests: Batch) -> None:
    with pytest.raises(BadInput):
        bulk.extend_batch(guests, expires_at=NOW, by=olivia, origin=device(), now=NOW)
    with pytest.raises(BadInput):
        bulk.extend(ids(guests), expires_at=NOW, by=olivia, origin=device(), now=NOW)


def test_those_chosen_are_revoked_whether_used_or_not_and_each_remembers_it(
    olivia: Account, guests: Batch
) -> None:
    first, second, _ = ids(guests)

    revoked = bulk.revoke([first, second, new_id()], by=olivia, origin=device(), now=NOW)

    assert revoked == 2
    assert states(guests) == [Status.REVOKED, Status.REVOKED, Status.ACTIVE]
    assert [event.action for event in audit.about(first)][-1] == "invitation.revoked"
    assert bulk.revoke([first], by=olivia, origin=device(), now=NOW) == 0


def test_those_chosen_are_extended_or_made_endless(olivia: Account, guests: Batch) -> None:
    first, second, third = ids(guests)
    bulk.extend([first, second], expires_at=None, by=olivia, origin=device(), now=NOW)

    db.session.expire_all()
    ends = [db.session.get_one(Invitation, each).expires_at for each in (first, second, third)]
    assert ends == [None, None, NOW + timedelta(days=7)]
    assert [event.action for event in audit.about(first)][-1] == "invitation.extended"


def test_cards_are_of_what_still_lets_somebody_in(olivia: Account, guests: Batch) -> None:
    _, second, third = ids(guests)

    cards = bulk.cards_of_batch(guests, by=olivia, origin=device(), now=NOW)

    assert [card.invitation.id for card in cards] == [second, third]
    assert redemptions.check(cards[0].code, origin=device(), now=NOW).id == second
    assert bulk.cards_of_batch(guests, by=olivia, origin=device(), now=NOW, after=second) == [
        cards[1]
    ]


# case 62
def test_that_codes_were_shown_on_cards_is_remembered(olivia: Account, guests: Batch) -> None:
    bulk.cards_of_batch(guests, by=olivia, origin=device(), now=NOW)
    [batch_event] = audit.latest(1)
    bulk.cards(ids(guests), by=olivia, origin=device(), now=NOW)

    assert (batch_event.action, batch_event.subject_id) == ("batch.codes_shown", guests.id)
    assert [event.action for event in audit.latest(2)] == ["invitation.code_shown"] * 2


@pytest.mark.parametrize(
    "verb",
    [
        lambda batch, by: bulk.revoke_unredeemed(batch, by=by, origin=device(), now=NOW),
        lambda batch, by: bulk.extend_batch(
            batch, expires_at=LATER, by=by, origin=device(), now=NOW
        ),
        lambda batch, by: bulk.cards_of_batch(batch, by=by, origin=device(), now=NOW),
        lambda batch, by: bulk.revoke(ids(batch), by=by, origin=device(), now=NOW),
        lambda batch, by: bulk.extend(
            ids(batch), expires_at=LATER, by=by, origin=device(), now=NOW
        ),
        lambda batch, by: bulk.cards(ids(batch), by=by, origin=device(), now=NOW),
    ],
    ids=["revoke batch", "extend batch", "cards of batch", "revoke", "extend", "cards"],
)
def test_a_viewer_does_none_of_it(guests: Batch, verb: Callable[[Batch, Account], object]) -> None:
    vera = factories.staff(Role.VIEWER, "vera")

    with pytest.raises(NotAllowed):
        verb(guests, vera)


def test_a_batch_that_is_not_issued_yet_is_neither_changed_nor_shown(olivia: Account) -> None:
    values = {"by": olivia, "origin": device(), "now": NOW}
    begun = batches.create(factories.Terms(), name="Guests", size=3, **values)

    with pytest.raises(BatchNotIssued):
        bulk.revoke_unredeemed(begun, **values)
    with pytest.raises(BatchNotIssued):
        bulk.extend_batch(begun, expires_at=LATER, **values)
    with pytest.raises(BatchNotIssued):
        bulk.cards_of_batch(begun, **values)


def test_the_funnel_counts_how_far_each_came(olivia: Account, guests: Batch) -> None:
    _, second, third = db.session.scalars(
        sa.select(Invitation).where(Invitation.batch_id == guests.id).order_by(Invitation.id)
    )
    second.mailed_at = second.opened_at = NOW
    third.revoked_at = NOW
    db.session.commit()

    assert vars(funnel.of(guests, now=NOW)) == {
        "issued": 3,
        "mailed": 1,
        "opened": 1,
        "redeemed": 1,
        "expired": 0,
        "revoked": 1,
    }
    # What is revoked expires no more, and what was redeemed has done its work.
    assert funnel.of(guests, now=LATER).expired == 1


def test_codes_on_cards_are_grouped_for_reading(olivia: Account, guests: Batch) -> None:
    [card, *_] = bulk.cards(ids(guests), by=olivia, origin=device(), now=NOW)
    assert card.code == codes.grouped(codes.canonical(card.code))
