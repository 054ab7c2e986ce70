"""Reminders: "expires soon", some days before, and "has expired", for unredeemed invitations.

Sent to recipients of mailed invitations, in batches that have reminders. Each is queued once
per expiry, however many workers run; after an extension, both are sent again.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from portal.domain.mail import outbox, resend
from portal.extensions import db
from portal.models import Batch, BatchState, Invitation, Mail, MailRefusal

AT_ONCE = 1000
# No reminder a day after the invitation, and no notice of an expiry long past.
SOON_AFTER_MAIL = timedelta(days=1)
LONG_AFTER_END = timedelta(days=7)


def queue_due(*, now: datetime) -> int:
    """Queue due reminders, up to `AT_ONCE` of each kind per batch; return how many."""
    reminding = sa.select(Batch).where(
        Batch.reminder_days.is_not(None),
        Batch.state == BatchState.ISSUED,
        Batch.paused_at.is_(None),
    )
    batches = db.session.scalars(reminding.execution_options(populate_existing=True)).all()
    return sum(_queue_reminders(batch, now) + _queue_endings(batch, now) for batch in batches)


def _queue_reminders(batch: Batch, now: datetime) -> int:
    ahead = timedelta(days=batch.reminder_days or 0)
    return _queue(
        "reminder",
        batch,
        [
            Invitation.reminded_at.is_(None),
            Invitation.expires_at > now,
            Invitation.expires_at <= now + ahead,
            Invitation.mailed_at <= now - SOON_AFTER_MAIL,
        ],
        now,
    )


def _queue_endings(batch: Batch, now: datetime) -> int:
    told = sa.exists().where(
        Mail.about_id == Invitation.id,
        Mail.kind == "expired",
        Mail.created_at >= Invitation.expires_at,
    )
    ended = [
        Invitation.expires_at <= now,
        Invitation.expires_at > now - LONG_AFTER_END,
        Invitation.mailed_at.is_not(None),
        ~told,
    ]
    return _queue("expired", batch, ended, now)


def _queue(kind: str, batch: Batch, which: list[sa.ColumnElement[bool]], now: datetime) -> int:
    due = (
        sa.select(Invitation.id, Invitation.recipient)
        .where(
            Invitation.batch_id == batch.id,
            Invitation.uses == 0,
            Invitation.revoked_at.is_(None),
            ~sa.exists().where(MailRefusal.email == Invitation.recipient),
            *which,
        )
        .limit(AT_ONCE)
    )
    if not db.session.execute(due.limit(1)).first():
        return 0
    resend.take_turns()
    found = [outbox.Address(about, to, batch.id) for about, to in db.session.execute(due) if to]
    outbox.queue_many(kind, found, now=now)
    if kind == "reminder":
        db.session.execute(
            sa.update(Invitation)
            .where(Invitation.id.in_([address.about for address in found]))
            .values(reminded_at=now)
            .execution_options(synchronize_session=False)
        )
    db.session.commit()
    return len(found)
