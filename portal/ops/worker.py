"""The worker: runs background tasks round by round until it is told to stop.

A task that keeps failing or killing the worker must not block the others: `worker_tasks` counts the
attempts of each task, and `outbox` those of mails.
"""

from collections.abc import Callable
from functools import partial
from threading import Event
from time import monotonic
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from portal.clock import utcnow
from portal.db import schema
from portal.db import session as db_session
from portal.domain.audit import chain, retention
from portal.domain.batches import batches
from portal.domain.client import Origin
from portal.domain.errors import TaskSetAside
from portal.domain.imports import uploads
from portal.domain.mail import outbox, reminders
from portal.domain.operations import worker_tasks
from portal.domain.operations.worker_tasks import Task
from portal.extensions import db
from portal.http.logs import log
from portal.mail import delivery
from portal.models import TaskKind

WORKER = Origin(device="worker", address="")
PAUSE = 2.0  # seconds to wait after a round without work


def run(stop: Event, *, once: bool = False) -> None:
    """Run due tasks until `stop` is set, or with `once` until none is left.

    Waits for the tables first, which another process may be creating.
    """
    while not _finds_its_tables() and not stop.wait(PAUSE):
        log.info("waiting for the database to be migrated")
    while not stop.is_set():
        if any([_attempt(task) for task in ROUND]):  # noqa: C419 - a list, so that all tasks run
            continue
        if once and not outbox.is_waiting_its_turn(now=utcnow()):
            return
        stop.wait(PAUSE)


def _finds_its_tables() -> bool:
    try:
        return not schema.is_behind()
    except SQLAlchemyError:  # the database is down: each task logs it
        return True
    finally:
        db.session.remove()


def issue_batches() -> bool:
    """Advance each unfinished batch by one step, so that a large one does not delay small ones."""
    steps = [
        counted(Task(TaskKind.BATCH, str(batch)), partial(_advance, batch))
        for batch in batches.unfinished()
    ]
    return any(steps)


def read_imports() -> bool:
    """Read the files that were too large to read within a request."""
    read = [
        counted(Task(TaskKind.IMPORT, str(batch)), partial(_read, batch))
        for batch in uploads.unread()
    ]
    return any(read)


def _read(batch: UUID) -> bool:
    return uploads.read(batch, clock=utcnow)


def _advance(batch: UUID) -> bool:
    return batches.advance(batch, origin=WORKER, now=utcnow())


def counted(task: Task, work: Callable[[], object]) -> bool:
    """Run a task whose attempts are counted, unless it has to wait or is set aside."""
    return _attempt(partial(_try, task, work))


def _try(task: Task, work: Callable[[], object]) -> bool:
    _record_failures()
    try:
        if not worker_tasks.begin(task, now=utcnow()):
            return False
    except TaskSetAside:
        log.error("worker task set aside", task=task.kind, id=task.key)
        return False
    try:
        done = bool(work())
    except Exception as error:
        log.exception("worker task failed", task=task.kind, id=task.key)
        _failed[task] = type(error).__name__
        _record_failures()
        return False
    if done or not task.key:
        worker_tasks.finish(task)
    else:
        worker_tasks.leave(task)
    return done


# Kept until the database records it: an unrecorded failure would count as a death.
_failed: dict[Task, str] = {}


def _record_failures() -> None:
    for task, error in list(_failed.items()):
        db_session.abandon()
        worker_tasks.fail(task, error, now=utcnow())
        del _failed[task]


def _attempt(task: Callable[[], object]) -> bool:
    """Run one task and return whether it did anything; an error does not stop the round."""
    try:
        return bool(task())
    except Exception:
        log.exception("worker task failed")
        return False
    finally:
        db.session.remove()


def seldom(task: Callable[[], object], *, every: float) -> Callable[[], object]:
    """The same task, run at most once every `every` seconds."""
    last = float("-inf")

    def attempt() -> object:
        nonlocal last
        if monotonic() - last < every:
            return False
        last = monotonic()
        return task()

    return attempt


def link_events() -> bool:
    """Link recent events into the audit chain, whether or not anybody reads it."""
    if chain.is_linked():
        return False
    counted(Task(TaskKind.CHAIN), chain.catch_up)
    return False  # new events meanwhile need no extra round


def queue_reminders() -> bool:
    """Queue the reminders that are due."""
    return counted(Task(TaskKind.REMINDERS), partial(_at_this_moment, reminders.queue_due))


def prune() -> bool:
    """Delete what is past its retention; runs once a day even if several workers call it."""
    return counted(Task(TaskKind.RETENTION), partial(_at_this_moment, retention.prune_daily))


def _at_this_moment(verb: Callable[..., object]) -> object:
    return verb(now=utcnow())


# The tasks of a round; each returns whether it did anything. Mails come first.
ROUND: tuple[Callable[[], object], ...] = (
    delivery.send_due,
    issue_batches,
    seldom(queue_reminders, every=60),
    read_imports,
    seldom(link_events, every=PAUSE),
    seldom(prune, every=3600),
)
