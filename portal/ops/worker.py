"""The worker: goes round by round through what pages have left to it, until it is told to stop.

A task that kills the worker, or fails, again and again must not keep the others from being done:
`worker_tasks` counts the tries of each, and `outbox` those of mails.
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
PAUSE = 2.0  # seconds between rounds in which there was nothing to do


def run(stop: Event, *, once: bool = False) -> None:
    """Do what is due, again and again; `once`: until there is nothing left to do.

    Begins when the tables are there, which another process may be making.
    """
    while not _finds_its_tables() and not stop.wait(PAUSE):
        log.info("waiting for the database to be migrated")
    while not stop.is_set():
        if any([_attempt(task) for task in ROUND]):  # noqa: C419 - all of them, whatever one says
            continue
        if once and not outbox.is_waiting_its_turn(now=utcnow()):
            return
        stop.wait(PAUSE)


def _finds_its_tables() -> bool:
    try:
        return not schema.is_behind()
    except SQLAlchemyError:  # the database is away: each task says so
        return True
    finally:
        db.session.remove()


def issue_batches() -> bool:
    """Bring each unfinished batch one step forward: a large one keeps no small one waiting."""
    steps = [
        counted(Task(TaskKind.BATCH, str(batch)), partial(_advance, batch))
        for batch in batches.unfinished()
    ]
    return any(steps)


def read_imports() -> bool:
    """Read the files that were too large to be read while somebody waited."""
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
    """Do a task whose tries are counted, unless it has to wait or is set aside."""
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


# Kept until the database takes it: a failure that was not written down would count as a death.
_failed: dict[Task, str] = {}


def _record_failures() -> None:
    for task, error in list(_failed.items()):
        db_session.abandon()
        worker_tasks.fail(task, error, now=utcnow())
        del _failed[task]


def _attempt(task: Callable[[], object]) -> bool:
    """Whatever happens to one task, the next one comes. Whether it did anything."""
    try:
        return bool(task())
    except Exception:
        log.exception("worker task failed")
        return False
    finally:
        db.session.remove()


def seldom(task: Callable[[], object], *, every: float) -> Callable[[], object]:
    """The same task, done once in so many seconds and left out of the rounds between."""
    last = float("-inf")

    def attempt() -> object:
        nonlocal last
        if monotonic() - last < every:
            return False
        last = monotonic()
        return task()

    return attempt


def link_events() -> bool:
    """Link what was recorded lately, whether or not anybody reads it."""
    if chain.is_linked():
        return False
    counted(Task(TaskKind.CHAIN), chain.catch_up)
    return False  # what goes on meanwhile is worth no round of its own


def queue_reminders() -> bool:
    """Queue the mails that are due by the calendar."""
    return counted(Task(TaskKind.REMINDERS), partial(_at_this_moment, reminders.queue_due))


def prune() -> bool:
    """Forget what has run its time; it happens once a day, whoever asks."""
    return counted(Task(TaskKind.RETENTION), partial(_at_this_moment, retention.prune_daily))


def _at_this_moment(verb: Callable[..., object]) -> object:
    return verb(now=utcnow())


# What is done in a round; each says whether it did anything. Mails come first.
ROUND: tuple[Callable[[], object], ...] = (
    delivery.send_due,
    issue_batches,
    seldom(queue_reminders, every=60),
    read_imports,
    seldom(link_events, every=PAUSE),
    seldom(prune, every=3600),
)
