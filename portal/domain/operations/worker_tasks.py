"""Counts attempts at the worker's tasks, in the database, so that they survive its death.

Each attempt begins with its own commit. A task that kills its worker twice in a row is set aside
until somebody resumes it; one that raises an exception is retried with growing delays. Mails are
counted separately (`outbox`).
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import TaskSetAside
from portal.domain.invitations import permissions
from portal.extensions import db
from portal.models import Account, Batch, BatchState, TaskKind, WorkerTask

MOST_DEATHS = 2
# Until then a task that has begun and not ended may still be running.
LEASE = timedelta(seconds=30)
PAUSES = [timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 3600)]
MANY_FAILURES = 3


class Task(NamedTuple):
    """A task of the worker: its kind, and the id of its subject if there can be several."""

    kind: TaskKind
    key: str = ""


def begin(task: Task, *, now: datetime) -> bool:
    """Count an attempt; return whether the task may run now. Commits.

    Raises `TaskSetAside`, once, when it has killed too many workers.
    """
    seen = _find(task)
    if seen is None:
        return _insert(task, now)
    if seen.set_aside_at or seen.due_at > now:
        return False
    is_fatal = seen.deaths >= MOST_DEATHS
    values = {"set_aside_at": now} if is_fatal else {"due_at": now + LEASE}
    begun = db.session.execute(
        sa.update(WorkerTask)
        .where(
            *_is(task),
            WorkerTask.deaths == seen.deaths,
            WorkerTask.due_at == seen.due_at,
            WorkerTask.set_aside_at.is_(None),
        )
        .values(deaths=WorkerTask.deaths + (0 if is_fatal else 1), **values)
        .returning(WorkerTask.key)
        .execution_options(synchronize_session=False)
    ).first()
    db.session.commit()
    if begun and is_fatal:
        raise TaskSetAside(f"{task.kind} {task.key}".strip())
    return begun is not None


def finish(task: Task) -> None:
    """Record success: clear the attempts. Commits."""
    forget(task)
    db.session.commit()


def forget(task: Task) -> None:
    """Clear the attempts: its subject is gone, or it is resumed. Part of the transaction."""
    db.session.execute(sa.delete(WorkerTask).where(*_is(task)))


def leave(task: Task) -> None:
    """Take the attempt back: another worker has it, or nothing was to do. Commits."""
    _update(task, deaths=WorkerTask.deaths - 1)
    db.session.execute(sa.delete(WorkerTask).where(*_is(task), WorkerTask.deaths == 0))
    db.session.commit()


def fail(task: Task, error: str, *, now: datetime) -> None:
    """Record an exception and schedule a retry, later each time. Commits."""
    seen = _find(task)
    failures = seen.failures if seen else 0
    pause = PAUSES[min(failures, len(PAUSES) - 1)]
    _update(task, deaths=0, failures=failures + 1, error=error[:100], due_at=now + pause)
    db.session.commit()


def task_of(batch: Batch) -> Task:
    """The worker's task for a batch: read its file, or issue it."""
    kind = TaskKind.IMPORT if batch.state is BatchState.READING else TaskKind.BATCH
    return Task(kind, str(batch.id))


def is_set_aside(batch: Batch) -> bool:
    """Whether a batch's task is set aside until somebody resumes it."""
    if batch.state not in {BatchState.READING, BatchState.ISSUING}:
        return False
    seen = _find(task_of(batch))
    return seen is not None and seen.set_aside_at is not None


def troubled() -> list[WorkerTask]:
    """Tasks that are set aside or have failed many times in a row."""
    many = WorkerTask.failures >= MANY_FAILURES
    found = sa.select(WorkerTask).where(sa.or_(WorkerTask.set_aside_at.is_not(None), many))
    return list(db.session.scalars(found.order_by(WorkerTask.kind, WorkerTask.key)))


def resume(task: Task, *, by: Account, origin: Origin, now: datetime) -> None:
    """Let the worker begin a set-aside task again, with all attempts. Any other stays as it is."""
    seen = _find(task)
    if seen is None or seen.set_aside_at is None:
        return
    forget(task)
    subject = UUID(task.key) if task.key else None
    audit.record(
        "task.resumed", now=now, origin=origin, actor=by.id, subject=subject, task=task.kind
    )
    db.session.commit()


def resume_batch(batch: Batch, *, by: Account, origin: Origin, now: datetime) -> None:
    """`resume` the task of a batch or import. Raises as `permissions.require_may_act` does."""
    permissions.require_may_act(batch, by=by)
    resume(task_of(batch), by=by, origin=origin, now=now)


def _is(task: Task) -> tuple[sa.ColumnElement[bool], ...]:
    return WorkerTask.kind == task.kind, WorkerTask.key == task.key


def _find(task: Task) -> WorkerTask | None:
    found = sa.select(WorkerTask).where(*_is(task))
    return db.session.scalars(found.execution_options(populate_existing=True)).first()


def _insert(task: Task, now: datetime) -> bool:
    try:
        db.session.execute(
            sa.insert(WorkerTask).values(**task._asdict(), deaths=1, failures=0, due_at=now + LEASE)
        )
    except IntegrityError:  # another worker began it just now
        db.session.rollback()
        return False
    db.session.commit()
    return True


def _update(task: Task, **values: object) -> None:
    db.session.execute(
        sa.update(WorkerTask)
        .where(*_is(task))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
