"""The portal, one of whose tasks kills its worker: `POISON` names it."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from portal.domain.audit import chain, retention
from portal.domain.batches import batches
from portal.domain.imports import uploads
from portal.domain.mail import outbox, reminders
from portal.domain.operations import worker_tasks
from portal.extensions import db
from portal.mail import delivery
from portal.models import Batch, Mail
from portal.ops import worker

outbox.LEASE = uploads.LEASE = timedelta(seconds=2)
# Over before the next worker has started: some tasks are tried once an hour and no sooner.
worker_tasks.LEASE = timedelta(seconds=0.2)
delivery.LEASE_LEFT = timedelta(0)
worker.PAUSE = 0.2


if os.environ.get("UNGUARDED"):
    worker_tasks.MOST_DEATHS = 1_000_000


def die() -> None:
    """As by the kernel, when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def deadly(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb, which kills the worker where it is about a batch named "poison"."""

    def kill_or_do(id: Any, **values: Any) -> Any:
        if db.session.scalar(sa.select(Batch.name).where(Batch.id == id)) == "poison":
            die()
        return verb(id, **values)

    return kill_or_do


def render(mail: Mail, matter: Any) -> Any:
    """Kill the worker instead of writing one mail."""
    if mail.recipient == "poison@example.org":
        die()
    return _render(mail, matter)


_render = delivery.render
POISON = os.environ["POISON"]
if POISON == "batch":
    batches.advance = deadly(batches.advance)
elif POISON == "import":
    uploads.read = deadly(uploads.read)
elif POISON == "mail":
    delivery.render = render
elif POISON == "reminders":
    reminders.queue_due = lambda **_: die()
elif POISON == "retention":
    retention.prune_daily = lambda **_: die()
elif POISON == "chain":
    chain.catch_up = die
    retention.prune_daily = lambda **_: 0  # it links events as well, and would die of that

from wsgi import app  # noqa: E402, F401 - after what it is made to do
