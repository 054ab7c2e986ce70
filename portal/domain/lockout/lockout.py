"""The one lockout every surface goes through: reserve, then evaluate, then succeed or fail.

A try is counted before it is evaluated, so that parallel guesses cannot slip through; the counter's
row makes the tries of one device wait for each other until the verb commits. `reserve`, `succeed`,
`fail` and `miss` take part in the transaction of the verb that calls them; only the try of a
password is committed at once (`SignIn.reserve`).

Two counts guard a code: the device's tries ("3 per 30 minutes", and a lock of 30 minutes that
starts at the third failure), and the misses of its address, which no success ever clears. An origin
without a device has the second alone.

An address has a budget of misses for each `Kind` of guess, so that whoever spends one, be it a
neighbour with typing errors or a page of another site, leaves the others as they are.
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
    """What was guessed at. Each value is the namespace of a counter."""

    LOOKING_UP = "looks"  # a code was validated, not redeemed
    REDEEMING = "misses"  # a code was redeemed, or signed up or registered with
    SIGNING_IN = "sign-ins"  # a password, a second factor, or a mailed code

    @property
    def phrase(self) -> str:
        """What there were too many of, for staff."""
        match self:
            case Kind.LOOKING_UP:
                return "checks of unknown codes"
            case Kind.REDEEMING:
                return "wrong codes"
            case Kind.SIGNING_IN:
                return "wrong passwords or mailed codes"


def reserve(origin: Origin, *, now: datetime, tx: Transaction = SESSION) -> None:
    """Count a try of this device; raise `LockedOut` if none is left to it.

    The verb has to ask for the `end_of_wait` after that, in one statement with what it looks up:
    only behind the counter's row is the lock's answer sure to be the last word. A refusal is rolled
    back with the verb, so waiting devices do not prolong their lock.
    """
    tries, misses = _limits().tries, _limits().misses[Kind.REDEEMING]
    # Counts nothing yet, but the tries of one address wait here for each other's outcome.
    counts = [(misses.key_for(origin.address_bucket), misses.get_expiry(), 0)]
    if origin.device:
        counts.insert(0, (tries.key_for(origin.device_digest), tries.get_expiry(), 1))
    hits = CounterStorage(now, tx).incr_together(*counts)
    if origin.device and hits[0] > tries.amount:
        raise LockedOut(_end(tries, origin.device_digest, now, tx))


def succeed(origin: Origin, *, tx: Transaction = SESSION) -> None:
    """Give the device its tries back. Its address keeps its misses."""
    tx.rows(_SUCCEED, over(origin))


def give_back(origin: Origin, *, now: datetime, tx: Transaction = SESSION) -> None:
    """Undo `reserve` in a transaction that is to be committed: no code was wrong."""
    tries = _limits().tries
    key = tries.key_for(origin.device_digest)
    CounterStorage(now, tx).incr(key, tries.get_expiry(), -1)


# What `succeed` does, to go along with another statement; `over` are its parameters.
SUCCEED = sa.delete(AttemptCounter).where(AttemptCounter.key == sa.bindparam("tries"))
_SUCCEED = Statement(SUCCEED)


def over(origin: Origin) -> dict[str, Any]:
    """The parameters of `SUCCEED`."""
    return {"tries": _limits().tries.key_for(origin.device_digest)}


def fail(origin: Origin, *, now: datetime, tx: Transaction = SESSION) -> int | None:
    """Count a miss; return the tries left. At none, the lock starts and runs from `now`.

    None for an origin without a device: only its address is counted.
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
    """Count a wrong guess against the address; it costs the device no try."""
    counting(now, tx).hit(_limits().misses[kind], origin.address_bucket)


def require_unlocked(origin: Origin, *, now: datetime) -> None:
    """Raise `LockedOut` if this device, or its address, may not redeem now. Counts nothing."""
    ((end,),) = SESSION.rows(_END_OF_WAIT, waiting(Kind.REDEEMING, origin, now=now))
    require_over(end)


def require_over(end: float | None) -> None:
    """Raise `LockedOut` if there is an `end_of_wait`."""
    if end is not None:
        raise LockedOut(datetime.fromtimestamp(end, UTC))


def require_address_unlocked(kind: Kind, origin: Origin, *, now: datetime) -> None:
    """Raise `LockedOut` if too many guesses of this kind came from this address."""
    _require(_limits().misses[kind], origin.address_bucket, now)


def end_of_wait() -> sa.ScalarSelect[float | None]:
    """When a device and its address have waited enough (Unix seconds), NULL if they need not wait.

    An expression for look-ups, whose parameters are those of `waiting`: every letter typed may ask
    this, so both counters are looked at in one statement.
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
    """The parameters of `end_of_wait`, for a guess of this kind."""
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
    """How many devices are locked at this moment."""
    return (
        db.session.scalar(
            sa.select(sa.func.count()).where(
                AttemptCounter.key.startswith("lock/"), AttemptCounter.expires_at > now.timestamp()
            )
        )
        or 0
    )


def locked(*, now: datetime) -> dict[str, datetime]:
    """The devices (by their digests) that are locked at this moment, and until when."""
    return _full(_limits().lock, now)


def spent(kind: Kind, *, now: datetime) -> dict[str, datetime]:
    """The addresses (by their buckets) whose budget of this kind is spent, and until when."""
    return _full(_limits().misses[kind], now)


def unlock(device_digest: str, *, now: datetime) -> None:
    """Give a device its tries back. Takes part in the caller's transaction."""
    counters = counting(now)
    counters.clear(_limits().lock, device_digest)
    counters.clear(_limits().tries, device_digest)


def forgive(address_bucket: str, *, now: datetime) -> None:
    """Forget the misses of an address, of every kind. Takes part in the caller's transaction."""
    for misses in _limits().misses.values():
        counting(now).clear(misses, address_bucket)


def _full(limit: RateLimitItem, now: datetime) -> dict[str, datetime]:
    """What each counter of a kind that is used up counts for, and when it starts afresh."""
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
    # A key ends in amount, multiple and granularity; an IPv6 bucket has a slash of its own.
    prefix = f"{limit.namespace}/"
    named = ((key.removeprefix(prefix).rsplit("/", 3)[0], key, end) for key, end in rows)
    return {
        name: datetime.fromtimestamp(end, UTC)
        for name, key, end in named
        if key == limit.key_for(name)  # not of a time when the setting was another
    }


@dataclass(frozen=True)
class SignIn:
    """A try of a password for `name`: ten in thirty minutes.

    Strangers share one count for a name, beside the misses of their address. A device the account
    has signed in on before has a count of its own, so that strangers cannot lock it out.
    """

    name: str
    origin: Origin
    device_is_known: bool

    def reserve(self, *, now: datetime) -> None:
        """Count the try before it is evaluated, for good: what the caller began is committed.

        To evaluate it takes long, and nobody shall wait for that. Raises `LockedOut` if no try is
        left.
        """
        if not self.device_is_known:
            _require(_limits().misses[Kind.SIGNING_IN], self.origin.address_bucket, now)
        db.session.commit()
        key = _PASSWORD_TRIES.key_for(self._key)
        if count_at_once(key, _PASSWORD_TRIES.get_expiry(), now=now) > _PASSWORD_TRIES.amount:
            raise LockedOut(_end(_PASSWORD_TRIES, self._key, now))

    def succeed(self, *, now: datetime) -> None:
        """Forget the failures of this device, or of the strangers it was one of."""
        counting(now).clear(_PASSWORD_TRIES, self._key)

    def fail(self, *, now: datetime) -> None:
        """Count a miss of the address; the try itself is counted already."""
        miss(Kind.SIGNING_IN, self.origin, now=now)

    def is_spent(self, *, now: datetime) -> bool:
        """Whether no try is left. Counts nothing."""
        return not counting(now).test(_PASSWORD_TRIES, self._key)

    @property
    def _key(self) -> str:
        return _name_key(self.name, self.origin.place if self.device_is_known else "")


def is_closed(names: Sequence[str], devices: Sequence[str], *, now: datetime) -> bool:
    """Whether any of these names waits, for strangers or on one of its devices (by digest)."""
    full = sa.exists().where(
        AttemptCounter.key.in_(_counters(names, devices)),
        AttemptCounter.hits >= _PASSWORD_TRIES.amount,
        AttemptCounter.expires_at > now.timestamp(),
    )
    return bool(db.session.scalar(sa.select(full)))


def forgive_sign_ins(names: Sequence[str], devices: Sequence[str]) -> None:
    """Forget what was tried for these names. Takes part in the caller's transaction."""
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
    """The tries of a device, the lock that follows them, and the misses of an address by kind."""

    tries: RateLimitItem
    lock: RateLimitItem
    misses: dict[Kind, RateLimitItem]


def _limits() -> _Limits:
    chosen = current_settings()
    return _limits_by(
        chosen.lockout_attempts, chosen.lockout_minutes, chosen.address_misses_per_hour
    )


@cache  # settings do not change while the portal runs
def _limits_by(attempts: int, minutes: int, misses_per_hour: int) -> _Limits:
    return _Limits(
        RateLimitItemPerMinute(attempts, minutes, namespace="tries"),
        RateLimitItemPerMinute(1, minutes, namespace="lock"),
        {kind: RateLimitItemPerHour(misses_per_hour, namespace=kind) for kind in Kind},
    )
