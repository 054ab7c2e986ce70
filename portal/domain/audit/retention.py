"""Retention: deletes expired rows and clears old addresses.

Rows go in chunks, each in a short transaction, so that nobody waits long for a lock. An interrupted
run is simply continued by the next.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from portal.domain.accounts import deletion
from portal.domain.audit import audit, chain
from portal.domain.client import NOBODY, Origin
from portal.domain.imports import preview
from portal.domain.operations import installation
from portal.extensions import Base, db
from portal.models import (
    ApiToken,
    AttemptCounter,
    AuditEvent,
    InvitationRequest,
    Redemption,
    RefreshToken,
    RefusedGuess,
    Session,
    SigningKey,
    Verification,
)

EVERY = timedelta(days=1)
ADDRESSES_FOR = timedelta(days=90)
# The longest lockout is a day; wrong codes are counted for a day, across re-issues (case 44).
GUESSES_FOR = VERIFICATIONS_FOR = timedelta(days=2)
# An unconfirmed account must not hold an e-mail and a username for longer.
UNCONFIRMED_FOR = timedelta(days=30)
CHUNK = 1000


@dataclass(frozen=True)
class _Sweep:
    """Rows of one table: to delete, or, with `erased`, to keep without those columns."""

    name: str
    table: type[Base]
    which: sa.ColumnElement[bool]
    erased: tuple[str, ...] = field(default=())


def prune(*, now: datetime, origin: Origin = NOBODY) -> dict[str, int]:
    """Delete or clear everything that is due; return how many rows of each kind. Audited once.

    Commits many times. Redemptions and audit events stay and only lose their addresses.
    """
    chain.catch_up()
    counts = {sweep.name: _repeated(partial(_sweep_chunk, sweep)) for sweep in _sweeps(now)}
    counts["unconfirmed_accounts"] = _repeated(partial(_drop_unconfirmed_chunk, now))
    counts["imports"] = preview.forget_unconfirmed(now=now)
    installation.note_pruning(now=now)
    if any(counts.values()):
        forgotten: dict[str, Any] = {name: count for name, count in counts.items() if count}
        audit.record("retention.pruned", now=now, origin=origin, **forgotten)
    db.session.commit()
    return counts


def prune_daily(*, now: datetime) -> bool:
    """`prune`, unless it ran within the last day; return whether it ran. For the worker."""
    if not installation.begin_pruning(EVERY, now=now):
        return False
    prune(now=now)
    return True


def _sweeps(now: datetime) -> Iterator[_Sweep]:
    old = now - ADDRESSES_FOR
    yield _Sweep(
        "redemption_addresses",
        Redemption,
        sa.and_(Redemption.at < old, _any_of(Redemption.address, Redemption.client)),
        ("address", "client"),
    )
    yield _Sweep(
        "session_addresses",
        Session,
        sa.and_(Session.created_at < old, _any_of(Session.address, Session.client)),
        ("address", "client"),
    )
    yield _Sweep(
        "event_addresses",
        AuditEvent,
        sa.and_(AuditEvent.at < old, AuditEvent.address.is_not(None)),
        ("address",),
    )
    yield _Sweep(
        "request_addresses",
        InvitationRequest,
        sa.and_(InvitationRequest.created_at < old, InvitationRequest.address.is_not(None)),
        ("address",),
    )
    yield _Sweep(
        "token_addresses",
        ApiToken,
        sa.and_(ApiToken.last_used_at < old, ApiToken.last_address.is_not(None)),
        ("last_address",),
    )
    # Until then they tell which devices an account knows (case 17).
    yield _Sweep("sessions", Session, sa.or_(Session.expires_at < old, Session.revoked_at < old))
    yield _Sweep("refresh_tokens", RefreshToken, RefreshToken.expires_at < now)
    # They retire once the last token they signed has expired or must be rejected.
    yield _Sweep("signing_keys", SigningKey, SigningKey.retired_at < now)
    yield _Sweep("counters", AttemptCounter, AttemptCounter.expires_at < now.timestamp())
    yield _Sweep("guesses", RefusedGuess, RefusedGuess.at < now - GUESSES_FOR)
    yield _Sweep("verifications", Verification, Verification.expires_at < now - VERIFICATIONS_FOR)


def _any_of(*columns: Any) -> sa.ColumnElement[bool]:
    return sa.or_(*(column.is_not(None) for column in columns))


def _repeated(chunk: Callable[[], int]) -> int:
    """Repeat until a chunk is empty; return the total number of rows."""
    total = 0
    while count := chunk():
        total += count
    return total


def _sweep_chunk(sweep: _Sweep) -> int:
    (key,) = sa.inspect(sweep.table).primary_key
    due = sa.select(key).where(sweep.which).limit(CHUNK).scalar_subquery()
    statement: sa.Update | sa.Delete = sa.delete(sweep.table)
    if sweep.erased:
        statement = sa.update(sweep.table).values(dict.fromkeys(sweep.erased))
    # Checked again on the row itself, which may have been renewed while this waited for it.
    statement = statement.where(key.in_(due), sweep.which)
    gone = db.session.execute(
        statement.returning(key).execution_options(synchronize_session=False)
    ).all()
    db.session.commit()
    return len(gone)


def _drop_unconfirmed_chunk(now: datetime) -> int:
    return deletion.drop_unconfirmed(since=now - UNCONFIRMED_FOR, most=CHUNK, now=now)
