"""Counters for the `limits` library: in the portal's own database, and in this process.

In the database every worker and every dyno counts together, and a restart forgets nothing. Such a
counter takes part in the transaction of whoever counts (but for `incr_at_once`): two tries of one
key wait for each other at its row. https://limits.readthedocs.io/en/stable/custom-storage.html
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from limits import RateLimitItem
from limits.storage import Storage
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db
from portal.models import AttemptCounter
from portal.statements import Statement

_moment: ContextVar[float | None] = ContextVar("moment", default=None)


def _count(keys: int) -> Statement:
    """Count for so many keys in one statement, and wait for their rows in the order of the keys."""
    rows = ", ".join(f"(:key_{n}, :amount_{n}, :now + :expiry_{n})" for n in range(keys))
    counted = sa.text(f"""
    INSERT INTO attempt_counter AS counter (key, hits, expires_at) VALUES {rows}
    ON CONFLICT (key) DO UPDATE SET
        hits = excluded.hits + CASE WHEN counter.expires_at > :now THEN counter.hits ELSE 0 END,
        expires_at = CASE WHEN counter.expires_at > :now
                          THEN counter.expires_at ELSE excluded.expires_at END
    RETURNING key, hits
    """).bindparams(  # noqa: S608 - only our own names are put in
        sa.bindparam("now", type_=sa.Double),
        *(sa.bindparam(f"expiry_{n}", type_=sa.Double) for n in range(keys)),
    )
    return Statement(counted.columns(AttemptCounter.key, AttemptCounter.hits))


_COUNT = {keys: _count(keys) for keys in (1, 2)}


class Limit:
    """A limit of the library's; its keys are put together from fewer parts than `item.key_for`."""

    def __init__(self, item: RateLimitItem) -> None:
        self.item = item
        self.amount = item.amount
        self.expiry = item.get_expiry()  # seconds
        self._before, self._after = item.key_for("\0").split("\0")

    def key_for(self, name: str) -> str:
        """What `item.key_for` would say."""
        return f"{self._before}{name}{self._after}"


@contextmanager
def at(now: datetime) -> Iterator[None]:
    """Let the counters see `now`: `limits` has no room in its calls for a clock."""
    token = _moment.set(now.timestamp())
    try:
        yield
    finally:
        _moment.reset(token)


def _values(*counts: tuple[str, int, int]) -> dict[str, Any]:
    values: dict[str, Any] = {"now": _now()}
    for number, (key, expiry, amount) in enumerate(counts):
        values |= {f"key_{number}": key, f"amount_{number}": amount, f"expiry_{number}": expiry}
    return values


def _now() -> float:
    moment = _moment.get()
    return time.time() if moment is None else moment


_IS_OPEN = (
    AttemptCounter.key == sa.bindparam("named"),
    AttemptCounter.expires_at > sa.bindparam("now"),
)
_HITS = Statement(sa.select(AttemptCounter.hits).where(*_IS_OPEN))
_EXPIRY = Statement(sa.select(AttemptCounter.expires_at).where(*_IS_OPEN))
_CLEAR = Statement(sa.delete(AttemptCounter).where(AttemptCounter.key == sa.bindparam("cleared")))


class DatabaseStorage(Storage):
    """A `limits` storage over the table `attempt_counter`, for fixed windows."""

    STORAGE_SCHEME = ["portal"]  # noqa: RUF012 - the library's own way of registering

    @property
    def base_exceptions(self) -> type[Exception]:
        """What the database raises."""
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` for `key`, in a window of `expiry` seconds; return the count so far."""
        return self.incr_together((key, expiry, amount))[0]

    def incr_together(self, *counts: tuple[str, int, int]) -> list[int]:
        """`incr` for one or two (key, expiry, amount) in one statement."""
        counted: Any = _COUNT[len(counts)].rows(_values(*counts))
        hits: dict[str, int] = dict(counted)
        return [hits[key] for key, _, _ in counts]

    def incr_at_once(self, key: str, expiry: int) -> int:
        """`incr` by one that takes part in no transaction: it is committed when this returns."""
        ((_, hits),) = _COUNT[1].at_once(_values((key, expiry, 1)))
        return int(hits)

    def get(self, key: str) -> int:
        """How often `key` was counted in the window that is open now."""
        return self._open(_HITS, key) or 0

    def get_expiry(self, key: str) -> float:
        """When the window of `key` ends (Unix seconds); now if none is open."""
        return self._open(_EXPIRY, key) or _now()

    def check(self) -> bool:
        """Whether the counters can be reached."""
        db.session.execute(sa.select(1))
        return True

    def reset(self) -> int:
        """Forget every counter; return how many there were."""
        gone = db.session.execute(sa.delete(AttemptCounter).returning(AttemptCounter.key))
        return len(gone.all())

    def clear(self, key: str) -> None:
        """Forget the count of `key`."""
        _CLEAR.rows({"cleared": key})

    @staticmethod
    def _open(asked: Statement, key: str) -> Any:
        found = asked.first({"named": key, "now": _now()})
        return found[0] if found else None


class ProcessStorage(Storage):
    """A `limits` storage in the memory of this process, for fixed windows.

    The library's own looks through all its keys a hundred times a second, in threads it starts for
    that; here the keys whose windows are over leave when there are twice as many as last time.
    """

    STORAGE_SCHEME = ["process"]  # noqa: RUF012 - the library's own way of registering
    FEWEST = 1024  # keys that are not worth a look

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self._windows: dict[str, tuple[int, float]] = {}  # hits, and when the window ends
        self._lock = threading.Lock()
        self._most = self.FEWEST

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing: memory does not fail."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` for `key`, in a window of `expiry` seconds; return the count so far."""
        now = time.time()
        with self._lock:
            hits, end = self._windows.get(key, (0, 0.0))
            if end <= now:
                hits, end = 0, now + expiry
            self._windows[key] = hits + amount, end
            if len(self._windows) > self._most:
                self._sweep(now)
        return hits + amount

    def get(self, key: str) -> int:
        """How often `key` was counted in the window that is open now."""
        hits, end = self._windows.get(key, (0, 0.0))
        return hits if end > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When the window of `key` ends (Unix seconds); now if none is open."""
        return max(self._windows.get(key, (0, 0.0))[1], time.time())

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget every counter; return how many there were."""
        with self._lock:
            gone = len(self._windows)
            self._windows.clear()
        return gone

    def clear(self, key: str) -> None:
        """Forget the count of `key`."""
        with self._lock:
            self._windows.pop(key, None)

    def _sweep(self, now: float) -> None:
        self._windows = {key: window for key, window in self._windows.items() if window[1] > now}
        self._most = max(self.FEWEST, 2 * len(self._windows))
