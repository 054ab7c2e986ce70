"""What the portal forgets: where people came from, and what has run out.

Rows go in chunks of a transaction each, so that nobody waits long for a lock; a round that is cut
off is simply gone on with by the next.
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
# The longest lock is a day; wrong codes of a day are counted across re-issues (case 44).
GUESSES_FOR = VERIFICATIONS_FOR = timedelta(days=2)
# Whoever has not confirmed an e-mail by then holds its address, and a username, for nothing.
UNCONFIRMED_FOR = timedelta(days=30)
CHUNK = 1000


@dataclass(frozen=True)
class _Sweep:
    """Some rows of a table: to delete, or with `erased` to keep without those columns."""

    name: str
    table: type[Base]
    which: sa.ColumnElement[bool]
    erased: tuple[str, ...] = field(default=())


def prune(*, now: datetime, origin: Origin = NOBODY) -> dict[str, int]:
    """Forget all that is due; return how many rows of each kind, and audit that once.

    Commits many times. The ledger and the audit log keep their rows, and lose addresses only.
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
    """`prune`, unless somebody did within a day; return whether it was done. For the worker."""
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
    # They retire when the last token they signed has expired, or must not be believed any more.
    yield _Sweep("signing_keys", SigningKey, SigningKey.retired_at < now)
    yield _Sweep("counters", AttemptCounter, AttemptCounter.expires_at < now.timestamp())
    yield _Sweep("guesses", RefusedGuess, RefusedGuess.at < now - GUESSES_FOR)
    yield _Sweep("verifications", Verification, Verification.expires_at < now - VERIFICATIONS_FOR)


def _any_of(*columns: Any) -> sa.ColumnElement[bool]:
    return sa.or_(*(column.is_not(None) for column in columns))


def _repeated(chunk: Callable[[], int]) -> int:
    """Go on until a chunk finds nothing; return how many rows there were in all."""
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
    # Asked once more of the row itself: it may have been renewed while this waited for it.
    statement = statement.where(key.in_(due), sweep.which)
    gone = db.session.execute(
        statement.returning(key).execution_options(synchronize_session=False)
    ).all()
    db.session.commit()
    return len(gone)


def _drop_unconfirmed_chunk(now: datetime) -> int:
    return deletion.drop_unconfirmed(since=now - UNCONFIRMED_FOR, most=CHUNK, now=now)
