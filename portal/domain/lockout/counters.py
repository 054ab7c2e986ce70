"""The counters behind every hard limit, kept in the portal's own database.

All workers and dynos share them, and they survive a restart. A counter takes part in a transaction:
concurrent attempts under one key wait for each other at its row.
https://limits.readthedocs.io/en/stable/custom-storage.html
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter, RateLimiter
from sqlalchemy.exc import SQLAlchemyError

from portal.db import hot
from portal.db.hot import SESSION, Statement, Transaction
from portal.models import AttemptCounter

Strategy = Callable[[Storage], RateLimiter]

_strategy: Strategy = FixedWindowRateLimiter


def use(strategy: Strategy) -> None:
    """Set the counting strategy to the one Flask-Limiter was configured with."""
    global _strategy  # noqa: PLW0603 - handed in once, when the app is put together
    _strategy = strategy


def counting(now: datetime, tx: Transaction = SESSION) -> RateLimiter:
    """The strategy over the counters as `tx` sees them at `now`."""
    return _strategy(CounterStorage(now, tx))


def count_at_once(key: str, expiry: int, *, now: datetime) -> int:
    """`CounterStorage.incr` in a short transaction of its own, committed on return."""
    ((_, hits),) = hot.rows(_COUNT[1], _values(now, (key, expiry, 1)))
    return int(hits)


class CounterStorage(Storage):
    """A `limits` storage over the table `attempt_counter`, for fixed windows."""

    STORAGE_SCHEME = None  # it belongs to a transaction, not to a URI

    def __init__(self, now: datetime, tx: Transaction = SESSION) -> None:
        super().__init__()
        self._now, self._tx = now, tx

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors the database raises."""
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count `amount` for `key`, in a window of `expiry` seconds; return the count so far."""
        return self.incr_together((key, expiry, amount))[0]

    def incr_together(self, *counts: tuple[str, int, int]) -> list[int]:
        """`incr` for one or two (key, expiry, amount) in one statement."""
        counted: Any = self._tx.rows(_COUNT[len(counts)], _values(self._now, *counts))
        hits: dict[str, int] = dict(counted)
        return [hits[key] for key, _, _ in counts]

    def get(self, key: str) -> int:
        """The count of `key` in its current window."""
        return self._open(_HITS, key) or 0

    def get_expiry(self, key: str) -> float:
        """When the current window of `key` ends (Unix seconds); now if there is none."""
        return self._open(_EXPIRY, key) or self._now.timestamp()

    def check(self) -> bool:
        """Always true: an unreachable database shows at the next count."""
        return True

    def reset(self) -> int:
        """Delete every counter; return how many there were."""
        return len(self._tx.rows(_RESET, {}))

    def clear(self, key: str) -> None:
        """Delete the counter of `key`."""
        self._tx.rows(_CLEAR, {"cleared": key})

    def _open(self, asked: Statement, key: str) -> Any:
        found = self._tx.first(asked, {"named": key, "now": self._now.timestamp()})
        return found[0] if found else None


def _count(keys: int) -> Statement:
    """Count under this many keys in one statement, locking their rows in order."""
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


def _values(now: datetime, *counts: tuple[str, int, int]) -> dict[str, Any]:
    values: dict[str, Any] = {"now": now.timestamp()}
    for number, (key, expiry, amount) in enumerate(counts):
        values |= {f"key_{number}": key, f"amount_{number}": amount, f"expiry_{number}": expiry}
    return values


_COUNT = {keys: _count(keys) for keys in (1, 2)}
_IS_OPEN = (
    AttemptCounter.key == sa.bindparam("named"),
    AttemptCounter.expires_at > sa.bindparam("now"),
)
_HITS = Statement(sa.select(AttemptCounter.hits).where(*_IS_OPEN))
_EXPIRY = Statement(sa.select(AttemptCounter.expires_at).where(*_IS_OPEN))
_CLEAR = Statement(sa.delete(AttemptCounter).where(AttemptCounter.key == sa.bindparam("cleared")))
_RESET = Statement(sa.delete(AttemptCounter).returning(AttemptCounter.key))
