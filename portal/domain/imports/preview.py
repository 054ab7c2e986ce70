"""The preview of an import: how many rows are good, and what is wrong with the others.

Owners see every import, other staff only their own; for anybody else it does not exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import CursorResult
from sqlalchemy.orm import aliased

from portal.domain.audit import audit
from portal.domain.batches import batches
from portal.domain.client import Origin
from portal.domain.errors import BadInput, FileRefused
from portal.domain.invitations import permissions
from portal.domain.operations import worker_tasks
from portal.domain.operations.worker_tasks import Task
from portal.extensions import db
from portal.models import (
    Account,
    Batch,
    BatchRow,
    BatchState,
    BatchUpload,
    Invitation,
    TaskKind,
)

UNCONFIRMED = (BatchState.READING, BatchState.PREVIEW, BatchState.FAILED)
KEPT_FOR = timedelta(days=1)
CHUNK = 10_000  # rows per transaction


class Kind(StrEnum):
    """The kinds of rows in a preview."""

    GOOD = "good"
    BAD = "bad"
    DUPLICATE = "duplicate"
    INVITED = "invited"


_KINDS = {
    Kind.GOOD: sa.and_(BatchRow.problem.is_(None), BatchRow.already_invited.is_(False)),
    Kind.BAD: sa.and_(BatchRow.problem.is_not(None), BatchRow.duplicate_of.is_(None)),
    Kind.DUPLICATE: BatchRow.duplicate_of.is_not(None),
    Kind.INVITED: sa.and_(BatchRow.problem.is_(None), BatchRow.already_invited),
}


@dataclass(frozen=True)
class Page:
    """Rows in the order of their lines; `next` is the last line shown, if more follow."""

    rows: list[BatchRow]
    next: int | None


def open_preview(batch: Batch, *, now: datetime) -> None:
    """Mark duplicates and people invited before, and open the preview. Commits once.

    Raises `FileRefused` if there are no rows.
    """
    opened = db.session.execute(
        sa.update(Batch)
        .where(Batch.id == batch.id, Batch.state == BatchState.READING)
        .values(state=BatchState.PREVIEW, leased_until=None)
        .returning(Batch.id)
    ).first()
    if opened is None:
        db.session.rollback()
        return
    _mark_duplicates(batch.id)
    _mark_invited(batch.id, now)
    if not any(counts(batch).values()):
        raise FileRefused("There is nobody in this file, only headings.")
    db.session.execute(sa.delete(BatchUpload).where(BatchUpload.batch_id == batch.id))
    db.session.commit()


def counts(batch: Batch) -> dict[Kind, int]:
    """How many rows are of each kind."""
    columns = [sa.func.count().filter(which).label(kind) for kind, which in _KINDS.items()]
    found = sa.select(*columns).select_from(BatchRow).where(BatchRow.batch_id == batch.id)
    return dict(zip(_KINDS, db.session.execute(found).one(), strict=True))


def rows(batch: Batch, kind: Kind, *, size: int, after: int = 0) -> Page:
    """Up to `size` rows of a kind, after line `after`."""
    found = db.session.scalars(
        sa.select(BatchRow)
        .where(BatchRow.batch_id == batch.id, BatchRow.number > after, _KINDS[kind])
        .order_by(BatchRow.number)
        .limit(size + 1)
    ).all()
    return Page(list(found[:size]), found[size - 1].number if len(found) > size else None)


def confirm(
    batch: Batch, *, by: Account, origin: Origin, now: datetime, invite_again: bool = False
) -> int:
    """Confirm an import for `batches.advance` to issue; return how many rows are good.

    People who hold an invitation, or are about to get one from another confirmed import, are
    invited only if `invite_again`. Confirming twice changes nothing. Raises as
    `permissions.require_may_act` does, and `BadInput` if no good row is left.
    """
    permissions.require_may_act(batch, by=by)
    if not _claim(batch.id):
        db.session.rollback()
        return batches.get(batch.id, by=by).size
    good = _drop_late(batch.id, now, invite_again)
    if not good:
        db.session.rollback()
        _mark_invited(batch.id, now)
        db.session.commit()
        raise BadInput("There is nobody to invite: no row is good, or all are invited already.")
    sizes = sa.update(Batch).where(Batch.id == batch.id).values(size=good, staged=good)
    db.session.execute(sizes)
    audit.record(
        "import.confirmed", now=now, origin=origin, actor=by.id, subject=batch.id, invitations=good
    )
    db.session.commit()
    return good


def discard(batch: Batch, *, by: Account, origin: Origin, now: datetime) -> None:
    """Delete an unconfirmed import with all its rows. Commits many times.

    Raises as `permissions.require_may_act` does.
    """
    permissions.require_may_act(batch, by=by)
    if not _close(Batch.id == batch.id):
        db.session.rollback()
        return
    audit.record("import.discarded", now=now, origin=origin, actor=by.id, subject=batch.id)
    _delete_closed(batch.id)


def forget_unconfirmed(*, now: datetime) -> int:
    """Delete the imports that nobody confirmed within a day; return how many."""
    forgotten = _close(Batch.created_at < now - KEPT_FOR)
    for batch_id in forgotten:
        _delete_closed(batch_id)
    return len(forgotten)


def _claim(batch_id: UUID) -> bool:
    """Claim the preview for issuing; False if somebody else has.

    Waits for a concurrent confirmation of another import: neither would see whom the other invites.
    """
    opened = sa.select(Batch.id).where(Batch.state == BatchState.PREVIEW).order_by(Batch.id)
    db.session.execute(opened.with_for_update())
    claimed = db.session.execute(
        sa.update(Batch)
        .where(Batch.id == batch_id, Batch.state == BatchState.PREVIEW)
        .values(state=BatchState.ISSUING)
        .returning(Batch.id)
    ).first()
    return claimed is not None


def _close(which: sa.ColumnElement[bool]) -> Sequence[UUID]:
    """Keep these imports from being confirmed any more. Takes part in the transaction."""
    return db.session.scalars(
        sa.update(Batch)
        .where(which, Batch.state.in_(UNCONFIRMED))
        .values(state=BatchState.FAILED, error="It was discarded.", leased_until=None)
        .returning(Batch.id)
        .execution_options(synchronize_session=False)
    ).all()


def _delete_closed(batch_id: UUID) -> None:
    """Delete in chunks: deleting a million rows at once would make everybody wait."""
    db.session.commit()
    mine = BatchRow.batch_id == batch_id
    first = sa.select(BatchRow.number).where(mine).order_by(BatchRow.number).limit(CHUNK)
    while _rows_deleted(sa.delete(BatchRow).where(mine, BatchRow.number.in_(first))):
        db.session.commit()
    worker_tasks.forget(Task(TaskKind.IMPORT, str(batch_id)))
    db.session.execute(
        sa.delete(Batch)
        .where(Batch.id == batch_id, Batch.state == BatchState.FAILED)
        .execution_options(synchronize_session=False)
    )
    db.session.commit()


def _mark_duplicates(batch_id: UUID) -> None:
    """Keep the first row of each recipient, and point the others to its line."""
    sound = (BatchRow.batch_id == batch_id, BatchRow.problem.is_(None))
    firsts = (
        sa.select(BatchRow.recipient, sa.func.min(BatchRow.number).label("number"))
        .where(*sound, BatchRow.recipient.is_not(None))
        .group_by(BatchRow.recipient)
        .having(sa.func.count() > 1)
        .subquery()
    )
    _update_rows(
        sa.update(BatchRow)
        .where(*sound, BatchRow.recipient == firsts.c.recipient)
        .where(BatchRow.number > firsts.c.number)
        .values(
            duplicate_of=firsts.c.number,
            problem=sa.literal("The same address is in line ")
            + sa.cast(firsts.c.number, sa.String)
            + ".",
        )
    )


def _mark_invited(batch_id: UUID, now: datetime) -> None:
    # In this order: an invitation issued in between was promised before and is held now.
    for is_invited in (_is_promised(now), _is_held(now)):
        _update_rows(
            sa.update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.recipient.is_not(None), is_invited)
            .values(already_invited=True)
        )


def _is_promised(now: datetime) -> sa.ColumnElement[bool]:
    """Whether another confirmed import is about to invite the row's recipient."""
    other = aliased(BatchRow)
    issuing = sa.select(Batch.id).where(Batch.state == BatchState.ISSUING)
    return sa.exists().where(
        other.recipient == BatchRow.recipient,
        other.batch_id.in_(issuing),
        other.batch_id != BatchRow.batch_id,
        other.problem.is_(None),
        sa.or_(other.expires_at.is_(None), other.expires_at > now),
    )


def _is_held(now: datetime) -> sa.ColumnElement[bool]:
    """Whether the row's recipient holds an invitation that is valid or was used."""
    good = sa.or_(Invitation.expires_at.is_(None), Invitation.expires_at > now, Invitation.uses > 0)
    return sa.exists().where(
        Invitation.recipient == BatchRow.recipient, Invitation.revoked_at.is_(None), good
    )


def _drop_late(batch_id: UUID, now: datetime, invite_again: bool) -> int:
    """Mark rows that became invalid since the preview was opened; count the good ones."""
    mine = (BatchRow.batch_id == batch_id, BatchRow.problem.is_(None))
    _mark_invited(batch_id, now)
    dropped = {"It would have ended already.": BatchRow.expires_at <= now}
    if not invite_again:
        dropped["Invited already."] = BatchRow.already_invited.is_(True)
    for problem, which in dropped.items():
        _update_rows(sa.update(BatchRow).where(*mine, which).values(problem=problem))
    return db.session.scalar(sa.select(sa.func.count()).select_from(BatchRow).where(*mine)) or 0


def _update_rows(statement: sa.Update) -> None:
    db.session.execute(statement.execution_options(synchronize_session=False))


def _rows_deleted(statement: sa.Delete) -> int:
    deleted = db.session.execute(statement.execution_options(synchronize_session=False))
    return cast(CursorResult[Any], deleted).rowcount
