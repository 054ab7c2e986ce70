"""The outbox: mails queued with the verb that causes them, leased, retried, never lost.

Each mail is leased to one worker at a time. If a worker dies between the server's acceptance and
its own commit, the lease runs out and the mail is sent once more, with the same Message-ID. Each
mail is settled by its own commit, so one death can duplicate only one mail. For batch mail it is an
async commit: a power cut or a crash of Postgres can duplicate the mails of one lease.

A mail that kills its worker is isolated: mails with an expired lease are leased one by one from
then on, and one that has met two deaths is given up, visibly.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm.attributes import set_committed_value

from portal.db import hot
from portal.db.hot import Statement
from portal.db.types import new_id
from portal.domain.errors import NotFound
from portal.extensions import db
from portal.models import (
    Batch,
    Installation,
    Invitation,
    Mail,
    MailState,
    Verification,
)

LEASE = timedelta(minutes=5)
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360, 720, 1440)]
MOST_TRIES = len(PAUSES) + 1
MOST_DEATHS = 2
SERVER_AWAY = timedelta(minutes=1)
LONGEST_ERROR = 500

_outbox = Mail.metadata.tables["outbox"]
_invitation = Invitation.metadata.tables["invitation"]
_verification = Verification.metadata.tables["verification"]

# Tables, not classes: these run once per mail, and synchronizing the session's objects would take
# as long as sending one.
_SETTLED = (
    sa.update(_outbox)
    .where(_outbox.c.id == sa.bindparam("mail"), _outbox.c.state == MailState.WAITING)
    .values(leased_until=None)
)
_SENT = _SETTLED.values(state=MailState.SENT, settled_at=sa.bindparam("now"), error=None)
_MAILED = (
    sa.update(_invitation)
    .where(_invitation.c.id == sa.bindparam("about"), _invitation.c.mailed_at.is_(None))
    .values(mailed_at=sa.bindparam("now"))
)
_sent = Statement(_SENT)
_invited = Statement(_SENT, along=[_MAILED])


@dataclass(frozen=True)
class Address:
    """A recipient, with the invitation to write about and its batch."""

    about: UUID
    to: str
    batch: UUID | None = None


def queue(
    kind: str,
    *,
    to: str,
    about: UUID,
    now: datetime,
    id: UUID | None = None,
    batch: UUID | None = None,
) -> Mail:
    """Queue a mail. Takes part in the transaction of the verb that causes it.

    The first mail of an invitation has its `id`; mail of a `batch` is sent at the bulk rate.
    """
    mail = Mail(
        id=id or new_id(),
        kind=kind,
        recipient=to,
        about_id=about,
        batch_id=batch,
        state=MailState.WAITING,
        created_at=now,
        due_at=now,
    )
    db.session.add(mail)
    return mail


def queue_many(kind: str, addresses: Iterable[Address], *, now: datetime) -> None:
    """Queue one mail for each address. Takes part in the transaction, too."""
    rows = [
        {
            "id": new_id(),
            "kind": kind,
            "recipient": address.to,
            "about_id": address.about,
            "batch_id": address.batch,
            "state": MailState.WAITING,
            "created_at": now,
            "due_at": now,
            "tries": 0,
        }
        for address in addresses
    ]
    if rows:
        db.session.execute(sa.insert(Mail), rows)


def lease(count: int, *, now: datetime) -> list[Mail]:
    """Lease up to `count` single mails that are due."""
    leased = _lease(count, [*_fresh(now), Mail.batch_id.is_(None)], now)
    db.session.commit()
    return leased


def lease_suspect(*, now: datetime) -> list[Mail]:
    """Lease one mail with an expired lease, if any: it may have killed its worker.

    Alone, so that it takes no other mail with it.
    """
    running = sa.exists().where(Installation.bulk_mail_paused_at.is_(None))
    may_go = sa.or_(Mail.batch_id.is_(None), sa.and_(*_bulk(), running))
    if db.session.scalar(sa.select(Mail.id).where(*_suspect(now), may_go).limit(1)) is None:
        return []
    leased = _lease(1, [*_suspect(now), may_go], now, deaths=Mail.deaths + 1)
    db.session.commit()
    return leased


def lease_bulk(count: int, *, each: timedelta, now: datetime) -> list[Mail]:
    """Lease up to `count` batch mails, unless they are paused or it is too early.

    All workers share one pace: the next lease is granted `count * each` later.
    """
    turn = db.session.execute(
        sa.update(Installation)
        .where(
            sa.func.coalesce(Installation.bulk_mail_after <= now, sa.true()),
            Installation.bulk_mail_paused_at.is_(None),
            sa.exists().where(*_fresh(now), *_bulk()),
        )
        .values(bulk_mail_after=now + count * each)
        .returning(Installation.id)
        .execution_options(synchronize_session=False)
    ).first()
    leased = _lease(count, [*_fresh(now), *_bulk()], now) if turn else []
    db.session.commit()
    return leased


def sent(mail: Mail, *, now: datetime) -> None:
    """Mark a mail as accepted by the server.

    An invitation counts as mailed from its first mail on; the copy of a mailed code is deleted. A
    batch mail is settled by an async commit: if the database loses it, that mail is sent again when
    its lease runs out.
    """
    statement = _invited if mail.kind == "invitation" else _sent
    values = {"mail": mail.id, "about": mail.about_id, "now": now}
    if mail.batch_id:
        db.session.commit()
        with hot.transaction(durable=False) as tx:
            tx.rows(statement, values)
    else:
        hot.SESSION.rows(statement, values)
        if mail.is_verification:
            carried = _verification.c.id == mail.about_id
            db.session.execute(sa.update(_verification).where(carried).values(sealed=None))
        db.session.commit()
    _note(mail, state=MailState.SENT, settled_at=now, error=None)


def failed(mail: Mail, error: str, *, now: datetime, for_good: bool = False) -> None:
    """The server rejected it: retry later, or give up and show the error in the outbox."""
    error = error[:LONGEST_ERROR]
    if for_good or mail.tries >= MOST_TRIES:
        _settle(mail, state=MailState.FAILED, settled_at=now, error=error)
    else:
        _settle(mail, due_at=now + PAUSES[mail.tries - 1], error=error)
    db.session.commit()


def postpone(mails: Sequence[Mail], error: str, *, now: datetime) -> None:
    """No server was reachable for these: retry later, without counting an attempt."""
    for mail in mails:
        due_at = now + SERVER_AWAY
        _settle(mail, due_at=due_at, error=error[:LONGEST_ERROR], tries=mail.tries - 1)
    db.session.commit()


def release(mails: Sequence[Mail]) -> None:
    """Release a lease without an attempt: others may lease these at once."""
    for mail in mails:
        _settle(mail, tries=mail.tries - 1)
    db.session.commit()


def is_waiting_its_turn(*, now: datetime) -> bool:
    """Whether batch mails are due and only held back by the bulk rate."""
    held = sa.exists().where(Installation.bulk_mail_after > now)
    running = Installation.bulk_mail_paused_at.is_(None)
    question = sa.select(held.where(running) & sa.exists().where(*_fresh(now), *_bulk()))
    return bool(db.session.scalar(question))


def retry(mail: Mail, *, now: datetime) -> None:
    """Requeue a failed mail with all attempts; any other stays as it is."""
    _retry([Mail.id == mail.id], now)


def retry_all(*, now: datetime, batch: UUID | None = None) -> int:
    """Requeue every failed mail, or those of one batch; return how many."""
    return _retry([Mail.batch_id == batch] if batch else [], now)


def get(id: UUID) -> Mail:
    """One mail; raises `NotFound`."""
    mail = db.session.get(Mail, id)
    if mail is None:
        raise NotFound
    return mail


def latest(
    count: int,
    *,
    state: MailState | None = None,
    batch: UUID | None = None,
    before: UUID | None = None,
) -> list[Mail]:
    """The newest mails: in one state, of one batch, older than `before`."""
    found = sa.select(Mail).order_by(Mail.id.desc()).limit(count)
    if state:
        found = found.where(Mail.state == state)
    if batch:
        found = found.where(Mail.batch_id == batch)
    if before:
        found = found.where(Mail.id < before)
    return list(db.session.scalars(found))


def about(invitation: UUID) -> list[Mail]:
    """The mails about one invitation, oldest first."""
    in_order = sa.select(Mail).where(Mail.about_id == invitation).order_by(Mail.created_at)
    return list(db.session.scalars(in_order))


def is_overdue(after: timedelta, *, now: datetime) -> bool:
    """Whether a single mail has been due for longer than `after`. Batches may take long."""
    single = Mail.batch_id.is_(None)
    overdue = sa.exists().where(Mail.state == MailState.WAITING, single, Mail.due_at < now - after)
    return bool(db.session.scalar(sa.select(overdue)))


def counts(*, batch: UUID | None = None) -> dict[MailState, int]:
    """How many mails are in each state, in total or of one batch; every state is included."""
    counted = sa.select(Mail.state, sa.func.count()).group_by(Mail.state)
    if batch:
        counted = counted.where(Mail.batch_id == batch)
    found = db.session.execute(counted)
    return dict.fromkeys(MailState, 0) | {MailState(state): count for state, count in found}


def _due(now: datetime) -> list[sa.ColumnElement[bool]]:
    return [Mail.state == MailState.WAITING, Mail.due_at <= now]


def _fresh(now: datetime) -> list[sa.ColumnElement[bool]]:
    return [*_due(now), Mail.leased_until.is_(None)]


def _suspect(now: datetime) -> list[sa.ColumnElement[bool]]:
    return [*_due(now), Mail.leased_until <= now]


def _bulk() -> list[sa.ColumnElement[bool]]:
    running = sa.select(Batch.id).where(Batch.paused_at.is_(None))
    return [Mail.batch_id.is_not(None), Mail.batch_id.in_(running)]


def _lease(
    count: int, which: Sequence[sa.ColumnElement[bool]], now: datetime, **values: object
) -> list[Mail]:
    due = (
        sa.select(Mail.id)
        .where(*which)
        .order_by(Mail.due_at)
        .limit(count)
        .with_for_update(skip_locked=True, of=Mail)
    )
    leased = db.session.scalars(
        sa.update(Mail)
        .where(Mail.id.in_(due.scalar_subquery()))
        .values(leased_until=now + LEASE, tries=Mail.tries + 1, **values)
        .returning(Mail)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return sorted(leased, key=lambda mail: (mail.due_at, mail.id))


def _settle(mail: Mail, **outcome: object) -> None:
    """Store the outcome of a mail, unless another worker has already sent it."""
    db.session.execute(_SETTLED.values(**outcome), {"mail": mail.id})
    _note(mail, **outcome)


def _note(mail: Mail, **outcome: object) -> None:
    """Update the object to match its row."""
    for name, value in outcome.items():
        set_committed_value(mail, name, value)


def _retry(which: Sequence[sa.ColumnElement[bool]], now: datetime) -> int:
    back = db.session.scalars(
        sa.update(Mail)
        .where(Mail.state == MailState.FAILED, *which)
        .values(state=MailState.WAITING, tries=0, deaths=0, due_at=now, settled_at=None)
        .returning(Mail.id)
    ).all()
    db.session.commit()
    return len(back)
