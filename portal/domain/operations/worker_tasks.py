"""Counts the tries of the worker's tasks in the database, where a dying worker leaves them.

A task is begun by a commit of its own. Whichever kills its worker twice in a row is set aside until
somebody resumes it; one that raises an exception is tried again, later each time. Mails have their
own counts (`outbox`).
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
# Until then a task that was begun and has not ended may still be running.
LEASE = timedelta(seconds=30)
PAUSES = [timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 3600)]
MANY_FAILURES = 3


class Task(NamedTuple):
    """One task of the worker: its kind, and the id of what it is about, if there are several."""

    kind: TaskKind
    key: str = ""


def begin(task: Task, *, now: datetime) -> bool:
    """Count a try, and say whether the task may be begun now. Commits.

    Raises `TaskSetAside` once: when it has killed too many workers.
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
    """It ended well: forget its tries. Commits."""
    forget(task)
    db.session.commit()


def forget(task: Task) -> None:
    """What it was about is gone, or somebody resumes it. Takes part in the transaction."""
    db.session.execute(sa.delete(WorkerTask).where(*_is(task)))


def leave(task: Task) -> None:
    """Another worker is at it, or nothing was left to do: take the try back. Commits."""
    _update(task, deaths=WorkerTask.deaths - 1)
    db.session.execute(sa.delete(WorkerTask).where(*_is(task), WorkerTask.deaths == 0))
    db.session.commit()


def fail(task: Task, error: str, *, now: datetime) -> None:
    """It raised an exception, and its worker lives: try again, later each time. Commits."""
    seen = _find(task)
    failures = seen.failures if seen else 0
    pause = PAUSES[min(failures, len(PAUSES) - 1)]
    _update(task, deaths=0, failures=failures + 1, error=error[:100], due_at=now + pause)
    db.session.commit()


def task_of(batch: Batch) -> Task:
    """What the worker has to do for a batch: to read it, or to issue it."""
    kind = TaskKind.IMPORT if batch.state is BatchState.READING else TaskKind.BATCH
    return Task(kind, str(batch.id))


def is_set_aside(batch: Batch) -> bool:
    """Whether a batch waits for somebody to resume it."""
    if batch.state not in {BatchState.READING, BatchState.ISSUING}:
        return False
    seen = _find(task_of(batch))
    return seen is not None and seen.set_aside_at is not None


def troubled() -> list[WorkerTask]:
    """The tasks that are set aside, or have failed many times in a row."""
    many = WorkerTask.failures >= MANY_FAILURES
    found = sa.select(WorkerTask).where(sa.or_(WorkerTask.set_aside_at.is_not(None), many))
    return list(db.session.scalars(found.order_by(WorkerTask.kind, WorkerTask.key)))


def resume(task: Task, *, by: Account, origin: Origin, now: datetime) -> None:
    """Let the worker begin it again, with all its tries. Any other stays as it is."""
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
    """`resume` the task of a batch or an import. Raises what `reach.require_may_act` raises."""
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
    except IntegrityError:  # another worker began it this moment
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
