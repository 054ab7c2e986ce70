"""Mail again, hold back, let go on; and whoever wants no mail gets none."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from portal.domain.batches import batches
from portal.domain.batches.batches import Draft
from portal.domain.errors import (
    MailedOften,
    MailUnwanted,
    MailWaiting,
    NotAllowed,
    NotFound,
    NotMailable,
)
from portal.domain.mail import outbox, unsubscribe
from portal.domain.mail import resend as mailings
from portal.extensions import db
from portal.models import Account, Batch, BatchState, Invitation, Mail, MailState, Role
from tests import factories
from tests.factories import NOW, device

pytestmark = pytest.mark.usefixtures("context")
ANA = "ana@example.org"


@pytest.fixture
def olivia(context: None) -> Account:
    return factories.owner()


@pytest.fixture
def invitation(olivia: Account) -> Invitation:
    return factories.invitation(olivia, recipient=ANA)


def resend(invitation: Invitation, by: Account, now: object = NOW) -> None:
    """Mail it again, and send that mail."""
    mailings.resend(invitation, by=by, origin=device(), now=now)
    deliver(now)


def deliver(now: object = NOW) -> None:
    """All that waits is sent."""
    for mail in db.session.scalars(sa.select(Mail).where(Mail.state == MailState.WAITING)).all():
        outbox.sent(mail, now=now)


def batch_of(
    by: Account, *recipients: str, issued_now: datetime = NOW, **settings: object
) -> Batch:
    """An issued batch whose mails wait."""
    values = {"name": "Guests", "mailed": True, "state": BatchState.ISSUING, **settings}
    batch = Batch(created_by_id=by.id, created_at=issued_now, size=len(recipients), **values)
    db.session.add(batch)
    db.session.flush()
    ends = issued_now + timedelta(days=30)
    drafts = [
        Draft(number=number, recipient=recipient, expires_at=ends)
        for number, recipient in enumerate(recipients, 1)
    ]
    batches.stage(batch.id, drafts)
    batches.publish(batch, origin=device(), now=issued_now)
    return batch


def test_an_invitation_counts_as_mailed_from_its_first_mail_on(
    invitation: Invitation, olivia: Account
) -> None:
    resend(invitation, olivia)
    resend(invitation, olivia, NOW + timedelta(hours=2))
    db.session.refresh(invitation)
    assert invitation.mailed_at == NOW


def test_a_mailbox_is_mailed_again_three_times_an_hour(
    invitation: Invitation, olivia: Account
) -> None:
    other = factories.invitation(olivia, recipient=ANA)
    for which in (invitation, other, invitation):
        resend(which, olivia)
    with pytest.raises(MailedOften):
        resend(other, olivia, NOW + timedelta(minutes=59))
    resend(other, olivia, NOW + timedelta(minutes=60))


def test_a_mail_that_waits_is_not_queued_twice(invitation: Invitation, olivia: Account) -> None:
    mailings.resend(invitation, by=olivia, origin=device(), now=NOW)
    with pytest.raises(MailWaiting):
        mailings.resend(invitation, by=olivia, origin=device(), now=NOW)


def test_whoever_wants_no_mail_gets_none(invitation: Invitation, olivia: Account) -> None:
    unsubscribe.refuse(ANA, now=NOW)
    unsubscribe.refuse(ANA, now=NOW)
    with pytest.raises(MailUnwanted):
        mailings.resend(invitation, by=olivia, origin=device(), now=NOW)


@pytest.mark.parametrize("terms", [{}, {"recipient": "@example.org"}])
def test_what_is_bound_to_no_mailbox_is_not_mailed(olivia: Account, terms: dict[str, str]) -> None:
    with pytest.raises(NotMailable):
        resend(factories.invitation(olivia, **terms), olivia)


def test_what_has_ended_is_not_mailed(invitation: Invitation, olivia: Account) -> None:
    with pytest.raises(NotMailable):
        resend(invitation, olivia, NOW + timedelta(days=8))


def test_a_viewer_mails_nobody(invitation: Invitation) -> None:
    with pytest.raises(NotAllowed):
        resend(invitation, factories.staff(Role.VIEWER, "vera"))


def test_a_batch_is_mailed_again_to_those_who_have_not_come(olivia: Account) -> None:
    batch = batch_of(olivia, "ana@x.org", "bert@x.org", "cara@x.org", "dora@x.org", "@x.org")
    deliver()
    unsubscribe.refuse("bert@x.org", now=NOW)
    db.session.execute(
        sa.update(Invitation).where(Invitation.recipient == "cara@x.org").values(uses=1)
    )

    assert mailings.resend_batch(batch, by=olivia, origin=device(), now=NOW) == 2

    waiting = sa.select(Mail.recipient).where(Mail.state == MailState.WAITING)
    assert set(db.session.scalars(waiting)) == {"ana@x.org", "dora@x.org"}
    assert mailings.resend_batch(batch, by=olivia, origin=device(), now=NOW) == 0, "they wait"


def test_chosen_invitations_of_one_mailbox_are_one_mail(olivia: Account) -> None:
    both = [factories.invitation(olivia, recipient=ANA).id for _ in range(2)]
    assert mailings.resend_chosen(both, by=olivia, origin=device(), now=NOW) == 1


def test_the_mails_of_a_paused_batch_wait(olivia: Account) -> None:
    batch = batch_of(olivia, "ana@x.org")
    every = timedelta(seconds=1)

    mailings.pause(batch, by=olivia, origin=device(), now=NOW)
    assert outbox.lease_bulk(10, each=every, now=NOW) == []
    mailings.resume(batch, by=olivia, origin=device(), now=NOW)

    assert len(outbox.lease_bulk(10, each=every, now=NOW)) == 1


def test_while_all_batches_are_paused_single_mails_go_on(
    olivia: Account, invitation: Invitation
) -> None:
    batch_of(olivia, "ana@x.org")
    mailings.resend(invitation, by=olivia, origin=device(), now=NOW)

    mailings.pause_all(by=olivia, origin=device(), now=NOW)
    assert mailings.paused_at() == NOW
    assert outbox.lease_bulk(10, each=timedelta(seconds=1), now=NOW) == []
    assert [mail.recipient for mail in outbox.lease(10, now=NOW)] == [ANA]
    mailings.resume_all(by=olivia, origin=device(), now=NOW)

    assert mailings.paused_at() is None
    assert len(outbox.lease_bulk(10, each=timedelta(seconds=1), now=NOW)) == 1


def test_only_the_owner_pauses_all() -> None:
    with pytest.raises(NotAllowed):
        mailings.pause_all(by=factories.staff(Role.ADMIN, "alice"), origin=device(), now=NOW)


def test_all_workers_keep_one_pace(olivia: Account) -> None:
    batch_of(olivia, *(f"guest{number}@x.org" for number in range(5)))
    each = timedelta(seconds=10)

    assert len(outbox.lease_bulk(2, each=each, now=NOW)) == 2
    assert outbox.lease_bulk(2, each=each, now=NOW + timedelta(seconds=19)) == []
    assert outbox.is_waiting_its_turn(now=NOW + timedelta(seconds=19))
    assert len(outbox.lease_bulk(2, each=each, now=NOW + timedelta(seconds=20))) == 2


def test_single_mails_wait_for_no_batch(olivia: Account, invitation: Invitation) -> None:
    batch_of(olivia, *(f"guest{number}@x.org" for number in range(30)))
    mailings.resend(invitation, by=olivia, origin=device(), now=NOW)

    assert [mail.recipient for mail in outbox.lease(10, now=NOW)] == [ANA]


def test_a_link_of_ours_names_its_invitation(invitation: Invitation) -> None:
    token = unsubscribe.url(invitation.id).rpartition("/")[2]
    assert unsubscribe.invitation_of(token).id == invitation.id


@pytest.mark.parametrize("token", ["", "x", "0" * 32, "0" * 32 + ".forged"])
def test_a_link_that_is_not_ours_names_nothing(token: str) -> None:
    with pytest.raises(NotFound):
        unsubscribe.invitation_of(token)
