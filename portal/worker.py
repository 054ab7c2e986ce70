"""The worker: goes round by round through what pages have left to it, until it is told to stop."""

from collections.abc import Callable
from functools import partial
from threading import Event
from time import monotonic
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from portal import mailer
from portal.clock import utcnow
from portal.db import schema
from portal.domain import batches, chain, imports, outbox, reminders, retention
from portal.domain.origin import Origin
from portal.extensions import db
from portal.logs import log

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
    steps = [_attempt(partial(_advance, batch)) for batch in batches.unfinished()]
    return any(steps)


def read_imports() -> bool:
    """Read the files that were too large to be read while somebody waited."""
    read = [_attempt(partial(_read, batch)) for batch in imports.unread()]
    return any(read)


def _read(batch: UUID) -> bool:
    return imports.read(batch, clock=utcnow)


def _advance(batch: UUID) -> bool:
    return batches.advance(batch, origin=WORKER, now=utcnow())


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


def link_events() -> None:
    """Link what was recorded lately, whether or not anybody reads it."""
    chain.catch_up()


def queue_reminders() -> int:
    """Queue the mails that are due by the calendar."""
    return reminders.queue_due(now=utcnow())


def prune() -> object:
    """Forget what has run its time; it happens once a day, whoever asks."""
    return retention.prune_daily(now=utcnow())


# What is done in a round; each says whether it did anything.
ROUND: tuple[Callable[[], object], ...] = (
    issue_batches,
    seldom(queue_reminders, every=60),
    mailer.send_due,
    read_imports,
    seldom(link_events, every=PAUSE),
    seldom(prune, every=3600),
)
