"""The audit log: one event for every verb worth recording.

`record` takes part in the caller's transaction and waits for nobody: events are linked into the
chain later (`chain.py`), at the latest when the log is read.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portal.db.hot import SESSION, Statement, Transaction
from portal.db.types import new_id
from portal.domain.audit import chain
from portal.domain.client import NOBODY, Origin
from portal.extensions import db
from portal.models import AuditEvent, UnlinkedEvent

_listeners: set[Callable[[str], None]] = set()


def record(
    action: str,
    *,
    now: datetime,
    origin: Origin = NOBODY,
    actor: UUID | None = None,
    subject: UUID | None = None,
    tx: Transaction = SESSION,
    **details: Any,
) -> None:
    """Append one event. `details` must contain neither secrets nor personal data."""
    tx.rows(_INSERT, event(action, now=now, origin=origin, actor=actor, subject=subject, **details))
    tx.on_commit(partial(announce, action))


def announce(action: str) -> None:
    """Notify listeners of a committed event. `record` does this by itself."""
    for listener in _listeners:
        listener(action)


def listen(listener: Callable[[str], None]) -> None:
    """Call `listener` with the action of every event this process commits."""
    _listeners.add(listener)


def event(
    action: str,
    *,
    now: datetime,
    origin: Origin = NOBODY,
    actor: UUID | None = None,
    subject: UUID | None = None,
    **details: Any,
) -> dict[str, Any]:
    """The parameters of `INSERT`, for statements it runs along with. Call `announce` afterwards."""
    columns = {
        "id": new_id(),
        "at": now,
        "action": action,
        "actor_id": actor,
        "subject_id": subject,
        "device": origin.device_digest if origin.device else None,
        "address": origin.address or None,
        "details": details,
    }
    columns["seal"] = chain.seal(columns)
    return {_PARAMETERS[name]: value for name, value in columns.items()}


_UNLINKED = UnlinkedEvent.metadata.tables[UnlinkedEvent.__tablename__]
# Prefixed, so that the statement can run along with those of other tables.
_PARAMETERS = {
    column.key: f"event_{column.key}"
    for column in _UNLINKED.c
    if column is not _UNLINKED.c.position
}
INSERT = (
    sa.insert(_UNLINKED)
    .values({name: sa.bindparam(parameter) for name, parameter in _PARAMETERS.items()})
    .inline()
)
_INSERT = Statement(INSERT)


def latest(count: int) -> list[AuditEvent]:
    """The last `count` events, newest first. Commits."""
    chain.catch_up()
    newest_first = sa.select(AuditEvent).order_by(AuditEvent.number.desc())
    return list(db.session.scalars(newest_first.limit(count)))


def about(*subjects: UUID) -> list[AuditEvent]:
    """All events about these subjects, oldest first. Commits."""
    chain.catch_up()
    return list(
        db.session.scalars(
            sa.select(AuditEvent)
            .where(AuditEvent.subject_id.in_(subjects))
            .order_by(AuditEvent.number)
        )
    )


def vouch(*, origin: Origin, now: datetime) -> int | None:
    """Accept events that a former version chained without a key. Commits.

    A former version may have run beside this one during the upgrade. Returns the first broken link,
    which cannot be accepted; None if the chain is intact from now on.
    """
    broken, events = chain.vouch()
    if broken is None:
        record("audit.vouched", now=now, origin=origin, events=events)
    db.session.commit()
    return broken
