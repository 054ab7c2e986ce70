"""Batches: many invitations issued at once, all or none.

Codes are drawn and sealed in chunks in a staging table, so that progress is visible and a crash
loses little. After the last chunk, one transaction turns all rows into invitations and queues their
mails.

Owners see every batch, other staff only their own; for anybody else a batch does not exist.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import CursorResult
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.db.types import new_id
from portal.domain.audit import audit
from portal.domain.batches.generation import draw_taken_codes_anew
from portal.domain.batches.staging import Draft, stage
from portal.domain.client import Origin
from portal.domain.errors import BadInput, NotFound
from portal.domain.invitations import invitations, issued_counter
from portal.domain.invitations.invitations import Terms
from portal.domain.operations import worker_tasks
from portal.extensions import db
from portal.models import Account, Batch, BatchRow, BatchState, Invitation, Mail, MailState, Role

__all__ = ["Draft", "stage"]

MOST = 100_000
AT_ONCE = 500  # small enough to issue without the worker
STEP = 5_000  # rows per transaction


def create(
    terms: Terms,
    *,
    name: str,
    size: int,
    by: Account,
    origin: Origin,
    now: datetime,
    id: UUID | None = None,
) -> Batch:
    """Record a batch to be issued by `advance`.

    Passing an `id` makes this idempotent: a second call returns the same batch.

    Raises `NotAllowed`, `BadInput`.
    """
    terms = invitations.checked(terms, by, now)
    if not 1 <= size <= MOST:
        raise BadInput(f"A batch has between 1 and {MOST:,} codes.")
    batch = Batch(
        id=id or new_id(),
        name=name,
        created_by_id=by.id,
        created_at=now,
        state=BatchState.ISSUING,
        size=size,
        label=terms.label or name,
        starts_at=terms.starts_at,
        expires_at=terms.expires_at,
        max_uses=terms.max_uses,
        grants_role=terms.grants_role,
    )
    if before := _created_before(batch, by):
        return before
    try:
        db.session.add(batch)
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        if before := _created_before(batch, by):
            return before
        raise
    audit.record("batch.created", now=now, origin=origin, actor=by.id, subject=batch.id, size=size)
    db.session.commit()
    return batch


def get(id: UUID, *, by: Account) -> Batch:
    """One batch with its creator; raises `NotFound`, also for another's batch."""
    batch = db.session.scalars(
        sa.select(Batch)
        .where(Batch.id == id)
        .options(joinedload(Batch.created_by))
        .execution_options(populate_existing=True)
    ).first()
    if batch is None or not by.may_see_batches_of(batch.created_by_id):
        raise NotFound
    return batch


def latest(count: int, *, by: Account, before: UUID | None = None) -> list[Batch]:
    """The newest `count` batches visible to `by`, older than `before` if given."""
    newest_first = sa.select(Batch).options(joinedload(Batch.created_by)).order_by(Batch.id.desc())
    if not by.may(Role.OWNER):
        newest_first = newest_first.where(Batch.created_by_id == by.id)
    if before:
        newest_first = newest_first.where(Batch.id < before)
    return list(db.session.scalars(newest_first.limit(count)))


def unfinished() -> list[UUID]:
    """The ids of the batches still being issued, oldest first."""
    issuing = sa.select(Batch.id).where(Batch.state == BatchState.ISSUING)
    return list(db.session.scalars(issuing.order_by(Batch.id)))


def advance(id: UUID, *, origin: Origin, now: datetime, patient: bool = False) -> bool:
    """Draw the next chunk of a batch, or publish it once all are drawn; return whether it did.

    Commits once. Only one of several concurrent callers proceeds; the others skip the batch, or
    wait for their turn if `patient`.
    """
    batch = db.session.scalars(
        sa.select(Batch)
        .where(Batch.id == id, Batch.state == BatchState.ISSUING)
        .with_for_update(skip_locked=not patient, key_share=True)
        .execution_options(populate_existing=True)
    ).first()
    if batch is None:
        db.session.rollback()
        return False
    if batch.staged >= batch.size:
        publish(batch, origin=origin, now=now)
        return True
    return _stage_next(batch)


def complete(id: UUID, *, origin: Origin, now: datetime) -> None:
    """Issue a batch synchronously, also if the worker is at it; done when this returns."""
    while id in unfinished():
        advance(id, origin=origin, now=now, patient=True)


def issued(id: UUID) -> Iterator[Invitation]:
    """The invitations of a batch in the order drawn, streamed."""
    in_order = sa.select(Invitation).where(Invitation.batch_id == id).order_by(Invitation.id)
    with db.session.scalars(in_order.execution_options(yield_per=STEP)) as found:
        yield from found


def publish(batch: Batch, *, origin: Origin, now: datetime) -> int:
    """Turn every good row into an invitation; return how many. Commits once, or not at all.

    If a drawn code turns out to be taken, it is drawn again and 0 returned, to be retried.
    """
    published = db.session.execute(
        sa.update(Batch)
        .where(Batch.id == batch.id, Batch.state == BatchState.ISSUING)
        .values(state=BatchState.ISSUED, issued_at=now, leased_until=None)
        .returning(Batch.id)
    ).first()
    if published is None:
        db.session.rollback()
        return 0
    try:
        issued = _insert_invitations(batch, now)
    except IntegrityError:
        db.session.rollback()
        if not draw_taken_codes_anew(batch.id):
            raise
        db.session.commit()
        return 0
    if batch.mailed:
        _queue_mails(batch, now)
    _settle(batch, issued, origin, now)
    _note_progress(batch)
    db.session.commit()
    return issued


def _created_before(batch: Batch, by: Account) -> Batch | None:
    if not db.session.scalar(sa.select(sa.exists().where(Batch.id == batch.id))):
        return None
    before = get(batch.id, by=by)
    if (before.name, before.size, before.label) != (batch.name, batch.size, batch.label):
        raise BadInput("This form was sent before, with other values. Nothing new was issued.")
    return before


def _stage_next(batch: Batch) -> bool:
    first, last = batch.staged + 1, min(batch.staged + STEP, batch.size)
    claimed = db.session.execute(
        sa.update(Batch)
        .where(Batch.id == batch.id, Batch.staged == batch.staged)
        .where(Batch.state == BatchState.ISSUING)
        .values(staged=last)
        .returning(Batch.id)
        .execution_options(synchronize_session=False)
    ).first()
    if claimed is None:
        db.session.rollback()
        return False
    label, uses, ends = batch.label, batch.max_uses, batch.expires_at
    drafts = [
        Draft(number, label=label, max_uses=uses, expires_at=ends)
        for number in range(first, last + 1)
    ]
    stage(batch.id, drafts)
    _note_progress(batch)
    db.session.commit()
    return True


def _note_progress(batch: Batch) -> None:
    """A worker that dies after this did not die of the batch. Part of the transaction."""
    worker_tasks.forget(worker_tasks.task_of(batch))


def _settle(batch: Batch, issued: int, origin: Origin, now: datetime) -> None:
    """Delete the staged rows, update the counter and record the event."""
    db.session.execute(sa.delete(BatchRow).where(BatchRow.batch_id == batch.id))
    issued_counter.add(batch.created_by_id, issued)
    audit.record(
        "batch.issued",
        now=now,
        origin=origin,
        actor=batch.created_by_id,
        subject=batch.id,
        invitations=issued,
    )


def _insert_invitations(batch: Batch, now: datetime) -> int:
    shared = {
        "starts_at": batch.starts_at,
        "grants_role": batch.grants_role,
        "created_by_id": batch.created_by_id,
        "created_at": now,
        "uses": 0,
        "batch_id": batch.id,
    }
    own = (
        *("id", "lookup", "sealed", "hint", "recipient", "recipient_name"),
        *("language", "label", "max_uses", "expires_at"),
    )
    columns = [getattr(BatchRow, name) for name in own]
    constants = [
        sa.literal(value, getattr(Invitation, name).type).label(name)
        for name, value in shared.items()
    ]
    rows = sa.select(*columns, *constants).where(
        BatchRow.batch_id == batch.id, BatchRow.problem.is_(None)
    )
    inserted = db.session.execute(
        sa.insert(Invitation).from_select([*own, *shared], rows),
        execution_options={"preserve_rowcount": True},  # Postgres reports no row count otherwise
    )
    return cast(CursorResult[Any], inserted).rowcount


def _queue_mails(batch: Batch, now: datetime) -> None:
    """Use each invitation's id for its first mail, so that it cannot be queued twice."""
    queued = {
        "kind": "invitation",
        "state": MailState.WAITING,
        "created_at": now,
        "due_at": now,
        "tries": 0,
        "batch_id": batch.id,
    }
    constants = [
        sa.literal(value, getattr(Mail, name).type).label(name) for name, value in queued.items()
    ]
    rows = sa.select(
        Invitation.id, Invitation.id.label("about_id"), Invitation.recipient, *constants
    )
    db.session.execute(
        sa.insert(Mail).from_select(
            ["id", "about_id", "recipient", *queued],
            rows.where(Invitation.batch_id == batch.id, Invitation.recipient.not_like("@%")),
        )
    )
