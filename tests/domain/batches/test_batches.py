"""Batches: staged out of reach, published all at once."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from portal.db.types import new_id
from portal.domain.audit import chain
from portal.domain.batches import batches
from portal.domain.batches.batches import Draft
from portal.domain.errors import BadInput, CodeRefused, NotAllowed, NotFound
from portal.domain.invitations import codes, redemptions, timeline
from portal.domain.invitations.invitations import Terms
from portal.extensions import db
from portal.models import Account, Batch, BatchRow, BatchState, Invitation, Mail, Role
from tests import factories
from tests.conftest import run_sql
from tests.factories import NOW, code_of, device, owner, staff

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def olivia(context: None) -> Account:
    return owner()


def staged(by: Account, *drafts: Draft, mailed: bool = False) -> Batch:
    """A batch of these rows that waits to be published."""
    batch = Batch(
        name="Guests",
        created_by_id=by.id,
        created_at=NOW,
        state=BatchState.ISSUING,
        size=len(drafts),
        mailed=mailed,
    )
    db.session.add(batch)
    db.session.flush()
    batches.stage(batch.id, drafts)
    db.session.commit()
    return batch


def test_a_published_batch_is_many_invitations(olivia: Account) -> None:
    batch = staged(
        olivia, Draft(number=1, label="One"), Draft(number=2, label="Two", max_uses=None)
    )

    assert batches.publish(batch, origin=device(), now=NOW) == 2

    issued = db.session.scalars(sa.select(Invitation).order_by(Invitation.label)).all()
    assert [(each.label, each.max_uses) for each in issued] == [("One", 1), ("Two", None)]
    assert factories.redeem(code_of(issued[0]), origin=device(), now=NOW).invitation_id
    db.session.refresh(olivia)
    assert olivia.invitations_issued == 2
    assert not db.session.scalars(sa.select(BatchRow)).all()


def test_publishing_twice_doubles_nothing(olivia: Account) -> None:
    batch = staged(olivia, Draft(number=1))

    batches.publish(batch, origin=device(), now=NOW)

    assert batches.publish(batch, origin=device(), now=NOW) == 0
    assert len(db.session.scalars(sa.select(Invitation)).all()) == 1


def test_a_row_with_a_problem_never_becomes_an_invitation(olivia: Account) -> None:
    batch = staged(olivia, Draft(number=1), Draft(number=2, problem="This is no e-mail address."))

    assert batches.publish(batch, origin=device(), now=NOW) == 1


def test_a_staged_code_lets_nobody_in_yet(olivia: Account) -> None:
    staged(olivia, Draft(number=1))
    row = db.session.scalars(sa.select(BatchRow)).one()
    assert row.sealed
    assert row.id

    with pytest.raises(CodeRefused):
        redemptions.check(codes.unseal(row.sealed, row.id), origin=device(), now=NOW)


def test_each_recipient_of_a_mailed_batch_gets_one_mail(olivia: Account) -> None:
    batch = staged(
        olivia,
        Draft(number=1, recipient="ana@example.org"),
        Draft(number=2, recipient="@example.org"),
        Draft(number=3),
        mailed=True,
    )

    batches.publish(batch, origin=device(), now=NOW)

    [mail] = db.session.scalars(sa.select(Mail)).all()
    assert (mail.recipient, mail.batch_id, mail.kind) == ("ana@example.org", batch.id, "invitation")


# --- Created, advanced, completed ---


def begun(by: Account, size: int = 3, **changes: Any) -> Batch:
    """A batch of which nothing is drawn yet."""
    values = {"name": "Guests", "size": size, "by": by, "origin": device(), "now": NOW}
    return batches.create(Terms(), **(values | changes))


def count_issued() -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(Invitation)) or 0


def test_a_batch_is_drawn_step_by_step_and_issued_at_once(olivia: Account) -> None:
    batch = begun(olivia, batches.STEP + 1)
    seen = []
    while batches.advance(batch.id, origin=device(), now=NOW):
        batch = batches.get(batch.id, by=olivia)
        seen.append((batch.state, batch.staged, count_issued()))

    size = batches.STEP + 1
    assert seen == [
        (BatchState.ISSUING, batches.STEP, 0),
        (BatchState.ISSUING, size, 0),
        (BatchState.ISSUED, size, size),
    ]


def test_each_code_of_a_batch_has_its_terms(olivia: Account) -> None:
    starts, ends = NOW + timedelta(days=1), NOW + timedelta(days=2)
    terms = Terms(label="Hall A", starts_at=starts, expires_at=ends, max_uses=4)
    batch = batches.create(terms, name="Guests", size=2, by=olivia, origin=device(), now=NOW)

    batches.complete(batch.id, origin=device(), now=NOW)

    for issued in batches.issued(batch.id):
        assert (issued.label, issued.max_uses) == ("Hall A", 4)
        assert (issued.starts_at, issued.expires_at) == (starts, ends)
        assert issued.created_by_id == olivia.id


def test_a_batch_asked_for_twice_is_one(olivia: Account) -> None:
    key = new_id()
    first = begun(olivia, id=key)
    batches.complete(first.id, origin=device(), now=NOW)

    again = begun(olivia, id=key)

    assert again.id == first.id
    assert again.state is BatchState.ISSUED
    assert count_issued() == 3


def test_a_key_that_stands_for_another_batch_is_refused(olivia: Account) -> None:
    key = new_id()
    begun(olivia, id=key)

    with pytest.raises(BadInput, match="sent before"):
        begun(olivia, id=key, size=4)


def test_a_key_of_somebody_elses_batch_tells_nothing(olivia: Account) -> None:
    key = new_id()
    begun(olivia, id=key)

    with pytest.raises(NotFound):
        begun(staff(Role.ADMIN, "alice"), id=key)


@pytest.mark.parametrize("size", [-1, 0, batches.MOST + 1])
def test_a_batch_of_no_sensible_size_is_refused(olivia: Account, size: int) -> None:
    with pytest.raises(BadInput, match="between 1 and 100,000"):
        begun(olivia, size)


def test_a_viewer_issues_no_batch(olivia: Account) -> None:
    with pytest.raises(NotAllowed):
        begun(staff(Role.VIEWER, "vera"))


# case 63
def test_a_batch_is_there_for_its_maker_and_for_owners_only(olivia: Account) -> None:
    alice, bob = staff(Role.ADMIN, "alice"), staff(Role.ADMIN, "bob")
    batch = begun(alice)

    assert batches.get(batch.id, by=alice).id == batch.id
    assert batches.get(batch.id, by=olivia).id == batch.id
    assert [found.id for found in batches.latest(9, by=olivia)] == [batch.id]
    assert batches.latest(9, by=bob) == []
    with pytest.raises(NotFound):
        batches.get(batch.id, by=bob)


# case 63
def test_a_maker_who_may_issue_no_more_loses_sight_of_the_batch(olivia: Account) -> None:
    alice = staff(Role.ADMIN, "alice")
    batch = begun(alice)
    alice.role = Role.VIEWER

    with pytest.raises(NotFound):
        batches.get(batch.id, by=alice)


def test_the_list_goes_on_where_it_ended(olivia: Account) -> None:
    made = [begun(olivia, name=f"Batch {number}").id for number in range(3)]

    newest, *_ = batches.latest(1, by=olivia)
    older = batches.latest(9, by=olivia, before=newest.id)

    assert [newest.id, *(batch.id for batch in older)] == made[::-1]


def test_a_batch_is_remembered_from_its_beginning(olivia: Account) -> None:
    batch = begun(olivia)
    batches.complete(batch.id, origin=device(), now=NOW)

    [issued, *_] = batches.issued(batch.id)
    told = [entry.event.action for entry in timeline.of_invitation(issued)]
    assert told == ["batch.created", "batch.issued"]
    assert chain.first_broken_link() is None


def test_times_of_batches_are_stored_as_all_others(olivia: Account) -> None:
    [issued] = batches.issued(factories.batch(olivia, size=1).id)
    alone = factories.invitation(olivia)

    stored = sa.cast(Invitation.expires_at, sa.Text)
    written = db.session.scalars(sa.select(stored).where(Invitation.id.in_([issued.id, alone.id])))

    assert len(set(written)) == 1


def test_times_that_former_versions_wrote_with_their_zone_are_read(
    engine: str, olivia: Account
) -> None:
    if engine != "sqlite":  # Postgres knows zones
        return
    alone = factories.invitation(olivia)
    run_sql("UPDATE invitation SET expires_at = expires_at || '+00:00'")

    db.session.expire_all()

    assert alone.expires_at == NOW + timedelta(days=7)
