"""The lockout shared by every surface: reserve an attempt, check it, then succeed or fail.

An attempt is counted before it is checked, so that parallel guesses cannot slip through; locking
the counter's row serialises a device's attempts until the verb commits. `reserve`, `succeed`,
`fail` and `miss` take part in the caller's transaction; only a password attempt is committed at
once (`SignIn.reserve`).

Two counters guard codes: the device's attempts ("3 per 30 minutes", with a lockout of 30 minutes
from the third failure), and the misses of its address, which no success clears. An origin without a
device has only the second.

Each address has a separate budget of misses for each `Kind` of guess, so that spending one, by a
neighbour's typos or a page of another site, leaves the others untouched.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

import sqlalchemy as sa
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute

from portal.config import current_settings
from portal.db.hot import SESSION, Statement, Transaction
from portal.domain.client import Origin
from portal.domain.errors import LockedOut
from portal.domain.lockout.counters import CounterStorage, count_at_once, counting
from portal.extensions import db
from portal.models import AttemptCounter

MOST_LISTED = 200


class Kind(StrEnum):
    """What was guessed. Each value is the namespace of a counter."""

    LOOKING_UP = "looks"  # a code was looked up, not redeemed
    REDEEMING = "misses"  # a code was redeemed, or used to sign up or register
    SIGNING_IN = "sign-ins"  # a password, a second factor, or a mailed code

    @property
    def phrase(self) -> str:
        """The kind of failures, in plural, for staff."""
        match self:
            case Kind.LOOKING_UP:
                return "checks of unknown codes"
            case Kind.REDEEMING:
                return "wrong codes"
            case Kind.SIGNING_IN:
                return "wrong passwords or mailed codes"


def reserve(origin: Origin, *, now: datetime, tx: Transaction = SESSION) -> None:
    """Count an attempt of this device; raise `LockedOut` if none is left.

    The caller then has to query `end_of_wait` in one statement with its lookup: only under the lock
    of the counter's row is the result final. A lockout is rolled back with the verb, so waiting
    devices do not prolong theirs.
    """
    tries, misses = _limits().tries, _limits().misses[Kind.REDEEMING]
    # Counts nothing yet, but locks the row, so attempts of one address wait for each other's
    # outcome.
    counts = [(misses.key_for(origin.address_bucket), misses.get_expiry(), 0)]
    if origin.device:
        counts.insert(0, (tries.key_for(origin.device_digest), tries.get_expiry(), 1))
    hits = CounterStorage(now, tx).incr_together(*counts)
    if origin.device and hits[0] > tries.amount:
        raise LockedOut(_end(tries, origin.device_digest, now, tx))


def succeed(origin: Origin, *, tx: Transaction = SESSION) -> None:
    """Reset the device's attempts. Its address keeps its misses."""
    tx.rows(_SUCCEED, over(origin))


def give_back(origin: Origin, *, now: datetime, tx: Transaction = SESSION) -> None:
    """Undo `reserve` in a transaction that will be committed, since no code was wrong."""
    tries = _limits().tries
    key = tries.key_for(origin.device_digest)
    CounterStorage(now, tx).incr(key, tries.get_expiry(), -1)


# The statement of `succeed`, to run along with another; `over` returns its parameters.
SUCCEED = sa.delete(AttemptCounter).where(AttemptCounter.key == sa.bindparam("tries"))
_SUCCEED = Statement(SUCCEED)


def over(origin: Origin) -> dict[str, Any]:
    """The parameters of `SUCCEED`."""
    return {"tries": _limits().tries.key_for(origin.device_digest)}


def fail(origin: Origin, *, now: datetime, tx: Transaction = SESSION) -> int | None:
    """Count a miss; return the attempts left. At none, the lockout starts at `now`.

    None for an origin without a device, where only the address is counted.
    """
    miss(Kind.REDEEMING, origin, now=now, tx=tx)
    if not origin.device:
        return None
    tries, lock, _ = _limits()
    counters = counting(now, tx)
    left = counters.get_window_stats(tries, origin.device_digest).remaining
    if not left:
        counters.hit(lock, origin.device_digest)
        counters.clear(tries, origin.device_digest)
    return left


def miss(kind: Kind, origin: Origin, *, now: datetime, tx: Transaction = SESSION) -> None:
    """Count a wrong guess against the address, without costing the device an attempt."""
    counting(now, tx).hit(_limits().misses[kind], origin.address_bucket)


def require_unlocked(origin: Origin, *, now: datetime) -> None:
    """Raise `LockedOut` if this device or its address may not redeem now. Counts nothing."""
    ((end,),) = SESSION.rows(_END_OF_WAIT, waiting(Kind.REDEEMING, origin, now=now))
    require_over(end)


def require_over(end: float | None) -> None:
    """Raise `LockedOut` if there is an `end_of_wait`."""
    if end is not None:
        raise LockedOut(datetime.fromtimestamp(end, UTC))


def require_address_unlocked(kind: Kind, origin: Origin, *, now: datetime) -> None:
    """Raise `LockedOut` if the address has spent its budget for this kind of guess."""
    _require(_limits().misses[kind], origin.address_bucket, now)


def end_of_wait() -> sa.ScalarSelect[float | None]:
    """When the lockout of a device and its address ends (Unix seconds), NULL if there is none.

    An expression for lookups, with the parameters of `waiting`. It reads both counters in one
    statement, because it may run at every keystroke.
    """
    counter, named = AttemptCounter, sa.bindparam
    is_locked = sa.and_(counter.key == named("lock"), counter.hits >= named("locks"))
    is_spent = sa.and_(counter.key == named("misses"), counter.hits >= named("budget"))
    return (
        sa.select(sa.func.max(counter.expires_at))
        .where(sa.or_(is_locked, is_spent), counter.expires_at > named("moment"))
        .scalar_subquery()
    )


def waiting(kind: Kind, origin: Origin, *, now: datetime) -> dict[str, Any]:
    """The parameters of `end_of_wait` for a guess of this kind."""
    lock, misses = _limits().lock, _limits().misses[kind]
    return {
        "lock": lock.key_for(origin.device_digest),
        "locks": lock.amount,
        "misses": misses.key_for(origin.address_bucket),
        "budget": misses.amount,
        "moment": now.timestamp(),
    }


_END_OF_WAIT = Statement(sa.select(end_of_wait()))


def locked_devices(*, now: datetime) -> int:
    """How many devices are locked out."""
    return (
        db.session.scalar(
            sa.select(sa.func.count()).where(
                AttemptCounter.key.startswith("lock/"), AttemptCounter.expires_at > now.timestamp()
            )
        )
        or 0
    )


def locked(*, now: datetime) -> dict[str, datetime]:
    """The locked-out devices (by digest), and until when."""
    return _full(_limits().lock, now)


def spent(kind: Kind, *, now: datetime) -> dict[str, datetime]:
    """The addresses (by bucket) that have spent their budget of this kind, and until when."""
    return _full(_limits().misses[kind], now)


def unlock(device_digest: str, *, now: datetime) -> None:
    """Reset a device's attempts. Takes part in the caller's transaction."""
    counters = counting(now)
    counters.clear(_limits().lock, device_digest)
    counters.clear(_limits().tries, device_digest)


def forgive(address_bucket: str, *, now: datetime) -> None:
    """Clear an address's misses of every kind. Takes part in the caller's transaction."""
    for misses in _limits().misses.values():
        counting(now).clear(misses, address_bucket)


def _full(limit: RateLimitItem, now: datetime) -> dict[str, datetime]:
    """What each exhausted counter under this limit counts, and when its window ends."""
    rows = db.session.execute(
        sa.select(AttemptCounter.key, AttemptCounter.expires_at)
        .where(
            AttemptCounter.key.startswith(f"{limit.namespace}/"),
            AttemptCounter.hits >= limit.amount,
            AttemptCounter.expires_at > now.timestamp(),
        )
        .order_by(AttemptCounter.expires_at.desc())
        .limit(MOST_LISTED)
    )
    # A key ends in amount, multiple and granularity; an IPv6 bucket contains a slash itself.
    prefix = f"{limit.namespace}/"
    named = ((key.removeprefix(prefix).rsplit("/", 3)[0], key, end) for key, end in rows)
    return {
        name: datetime.fromtimestamp(end, UTC)
        for name, key, end in named
        if key == limit.key_for(name)  # not from a time with other settings
    }


@dataclass(frozen=True)
class SignIn:
    """A password attempt for `name`: ten in thirty minutes.

    Unknown devices share one counter per name, beside the misses of their address. A device the
    account has signed in on before has a counter of its own, so that strangers cannot lock it out.
    """

    name: str
    origin: Origin
    device_is_known: bool

    def reserve(self, *, now: datetime) -> None:
        """Count the attempt before the check. Commits, including what the caller began.

        The check is slow, and nobody should wait for it. Raises `LockedOut` if no attempt is left.
        """
        if not self.device_is_known:
            _require(_limits().misses[Kind.SIGNING_IN], self.origin.address_bucket, now)
        db.session.commit()
        key = _PASSWORD_TRIES.key_for(self._key)
        if count_at_once(key, _PASSWORD_TRIES.get_expiry(), now=now) > _PASSWORD_TRIES.amount:
            raise LockedOut(_end(_PASSWORD_TRIES, self._key, now))

    def succeed(self, *, now: datetime) -> None:
        """Clear the failures of this device, or of all unknown devices if it was one."""
        counting(now).clear(_PASSWORD_TRIES, self._key)

    def fail(self, *, now: datetime) -> None:
        """Count a miss against the address; the attempt itself was counted before."""
        miss(Kind.SIGNING_IN, self.origin, now=now)

    def is_spent(self, *, now: datetime) -> bool:
        """Whether no attempts are left. Counts nothing."""
        return not counting(now).test(_PASSWORD_TRIES, self._key)

    @property
    def _key(self) -> str:
        return _name_key(self.name, self.origin.place if self.device_is_known else "")


def is_closed(names: Sequence[str], devices: Sequence[str], *, now: datetime) -> bool:
    """Whether any of these names is locked, for strangers or on one of its devices (by digest)."""
    full = sa.exists().where(
        AttemptCounter.key.in_(_counters(names, devices)),
        AttemptCounter.hits >= _PASSWORD_TRIES.amount,
        AttemptCounter.expires_at > now.timestamp(),
    )
    return bool(db.session.scalar(sa.select(full)))


def forgive_sign_ins(names: Sequence[str], devices: Sequence[str]) -> None:
    """Clear the attempts counted for these names. Takes part in the caller's transaction."""
    db.session.execute(
        sa.delete(AttemptCounter).where(AttemptCounter.key.in_(_counters(names, devices)))
    )


def _counters(names: Sequence[str], devices: Sequence[str]) -> list[str]:
    return [
        _PASSWORD_TRIES.key_for(_name_key(name, device))
        for name in names
        for device in ("", *devices)
    ]


def _name_key(name: str, device: str) -> str:
    return sha256(f"{name}\n{device}".encode()).hexdigest()


_PASSWORD_TRIES = RateLimitItemPerMinute(10, 30, namespace="password")


def _require(limit: RateLimitItem, name: str, now: datetime) -> None:
    if not counting(now).test(limit, name):
        raise LockedOut(_end(limit, name, now))


def _end(limit: RateLimitItem, name: str, now: datetime, tx: Transaction = SESSION) -> datetime:
    window = counting(now, tx).get_window_stats(limit, name)
    return datetime.fromtimestamp(window.reset_time, UTC)


class _Limits(NamedTuple):
    """A device's attempts, the lockout that follows, and an address's misses by kind."""

    tries: RateLimitItem
    lock: RateLimitItem
    misses: dict[Kind, RateLimitItem]


def _limits() -> _Limits:
    chosen = current_settings()
    return _limits_by(
        chosen.lockout_attempts, chosen.lockout_minutes, chosen.address_misses_per_hour
    )


@cache  # settings do not change at runtime
def _limits_by(attempts: int, minutes: int, misses_per_hour: int) -> _Limits:
    return _Limits(
        RateLimitItemPerMinute(attempts, minutes, namespace="tries"),
        RateLimitItemPerMinute(1, minutes, namespace="lock"),
        {kind: RateLimitItemPerHour(misses_per_hour, namespace=kind) for kind in Kind},
    )
