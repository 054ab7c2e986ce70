"""Mails by the calendar: some days before the end, and at the end; each once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.domain.batches import bulk
from portal.domain.mail import outbox, reminders, resend, unsubscribe
from portal.extensions import db
from portal.models import Account, Batch, Invitation, Mail, MailState
from tests import factories
from tests.domain.mail.test_resend import batch_of, deliver
from tests.factories import NOW, device

pytestmark = pytest.mark.usefixtures("context")

IN_TIME = NOW + timedelta(days=27, hours=1)  # less than three days before the end
TOO_LATE = NOW + timedelta(days=30, hours=1)


@pytest.fixture
def batch(context: None) -> Batch:
    """Ana, Bert and Cara were mailed invitations that are good for 30 days."""
    issued = batch_of(factories.owner(), "ana@x.org", "bert@x.org", "cara@x.org", reminder_days=3)
    deliver()
    return issued


def queued() -> set[tuple[str, str]]:
    """The mails that wait: their kind, and whom they are for."""
    waiting = sa.select(Mail.kind, Mail.recipient).where(Mail.state == MailState.WAITING)
    return {(kind, to) for kind, to in db.session.execute(waiting)}


def come(recipient: str) -> None:
    """Somebody redeems."""
    db.session.execute(
        sa.update(Invitation).where(Invitation.recipient == recipient).values(uses=1)
    )
    db.session.commit()


def test_whoever_has_not_come_is_reminded_once(batch: Batch) -> None:
    come("bert@x.org")
    unsubscribe.refuse("cara@x.org", now=NOW)

    assert reminders.queue_due(now=NOW + timedelta(days=26)) == 0
    assert reminders.queue_due(now=IN_TIME) == 1
    assert reminders.queue_due(now=IN_TIME) == 0

    assert queued() == {("reminder", "ana@x.org")}


def test_at_the_end_whoever_has_not_come_is_told_once(batch: Batch) -> None:
    come("bert@x.org")

    assert reminders.queue_due(now=TOO_LATE) == 2
    assert reminders.queue_due(now=TOO_LATE) == 0

    assert queued() == {("expired", "ana@x.org"), ("expired", "cara@x.org")}


def test_an_extended_batch_is_reminded_and_told_of_its_new_end(batch: Batch) -> None:
    olivia = db.session.get(Account, batch.created_by_id)
    assert olivia is not None
    assert reminders.queue_due(now=IN_TIME) == 3
    assert reminders.queue_due(now=TOO_LATE) == 3
    later = timedelta(days=30)
    bulk.extend_batch(batch, expires_at=NOW + 2 * later, by=olivia, origin=device(), now=TOO_LATE)

    assert reminders.queue_due(now=TOO_LATE) == 0
    assert reminders.queue_due(now=IN_TIME + later) == 3
    assert reminders.queue_due(now=IN_TIME + later) == 0
    assert reminders.queue_due(now=TOO_LATE + later) == 3
    assert reminders.queue_due(now=TOO_LATE + later) == 0


def test_an_end_long_ago_is_not_told(batch: Batch) -> None:
    assert reminders.queue_due(now=NOW + timedelta(days=38)) == 0


def test_nobody_is_reminded_of_what_came_the_same_day(context: None) -> None:
    batch_of(factories.owner(), "ana@x.org", reminder_days=40)
    deliver()

    assert reminders.queue_due(now=NOW + timedelta(hours=23)) == 0
    assert reminders.queue_due(now=NOW + timedelta(hours=25)) == 1


def test_a_batch_that_does_not_remind_stays_silent(context: None) -> None:
    batch_of(factories.owner(), "ana@x.org")
    deliver()

    assert reminders.queue_due(now=IN_TIME) == 0


def test_a_paused_batch_reminds_nobody(batch: Batch) -> None:
    olivia = db.session.get(Account, batch.created_by_id)
    assert olivia is not None
    resend.pause(batch, by=olivia, origin=device(), now=NOW)

    assert reminders.queue_due(now=IN_TIME) == 0


def test_a_reminder_keeps_to_the_bulk_rate(batch: Batch) -> None:
    reminders.queue_due(now=IN_TIME)

    assert outbox.lease(10, now=IN_TIME) == []
    assert len(outbox.lease_bulk(10, each=timedelta(seconds=1), now=IN_TIME)) == 3
