"""The audit log: one event for every verb worth remembering.

`record` takes part in the transaction of the verb that calls it, and makes nobody wait: events get
their places in the chain later (`chain.py`), at the latest when somebody reads them.
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
    """Append one event. `details` must hold neither secrets nor anything about a person."""
    tx.rows(_INSERT, event(action, now=now, origin=origin, actor=actor, subject=subject, **details))
    tx.on_commit(partial(announce, action))


def announce(action: str) -> None:
    """Tell whoever listens that an event was committed; `record` sees to it by itself."""
    for listener in _listeners:
        listener(action)


def listen(listener: Callable[[str], None]) -> None:
    """Have `listener` told the action of every event that this process commits."""
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
    """The parameters of `INSERT`, which goes along with another statement. See to `announce`."""
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
# Named apart from the columns of other tables, so that an event can go along with their statements.
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
    """All events about these things, oldest first. Commits."""
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

    Former versions may have run beside this one for a moment, while it was installed. Returns the
    first broken link, which nobody can vouch for; None if the chain is whole from now on.
    """
    broken, events = chain.vouch()
    if broken is None:
        record("audit.vouched", now=now, origin=origin, events=events)
    db.session.commit()
    return broken
