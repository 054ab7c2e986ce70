"""The counters of the lockout, beside those the `limits` library keeps in memory."""

import threading
from datetime import timedelta

import hypothesis
import pytest
import time_machine
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from sqlalchemy import text

from portal.clock import utcnow
from portal.db import hot
from portal.domain.lockout.counters import CounterStorage, count_at_once, counting
from portal.extensions import db
from portal.http.rate_limit import limiter
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")

KEYS = ["tries/one", "tries/two", "lock/one"]
MINUTE = 60


class Beside(RuleBasedStateMachine):
    """The same counts, in our storage and in theirs, while time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = time_machine.travel(NOW, tick=False)
        self.time = self.clock.start()
        self.theirs = MemoryStorage()
        # A timer that never rings: what is over is forgotten when it is read.
        self.theirs.timer.cancel()
        self.theirs.timer = threading.current_thread()  # type: ignore[assignment]

    @property
    def ours(self) -> CounterStorage:
        """The counters as they are at this moment."""
        return CounterStorage(utcnow())

    @initialize()
    def forget_what_the_run_before_counted(self) -> None:
        """Begin at nothing."""
        self.ours.reset()

    @rule(key=st.sampled_from(KEYS), expiry=st.integers(1, 120), amount=st.integers(1, 5))
    def count(self, key: str, expiry: int, amount: int) -> None:
        """Count in both."""
        ours = self.ours.incr(key, expiry, amount)
        assert ours == self.theirs.incr(key, expiry, amount)

    @rule(seconds=st.integers(1, 90) | st.floats(0.25, 2))
    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.time.shift(seconds)

    @rule(key=st.sampled_from(KEYS))
    def clear(self, key: str) -> None:
        """Forget one key in both."""
        self.ours.clear(key)
        self.theirs.clear(key)

    @rule()
    def commit(self) -> None:
        """End the transaction, which must change nothing."""
        db.session.commit()

    @invariant()
    def every_count_and_end_is_the_same(self) -> None:
        """What the lockout asks of its storage."""
        for key in KEYS:
            assert self.ours.get(key) == self.theirs.get(key)
            assert self.ours.get_expiry(key) == pytest.approx(self.theirs.get_expiry(key), abs=1e-5)

    def teardown(self) -> None:
        """Undo what was not committed."""
        db.session.rollback()
        self.clock.stop()


def test_the_counters_behave_as_the_librarys_own() -> None:
    run_state_machine_as_test(
        Beside, settings=hypothesis.settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def test_a_window_ends_when_it_was_to_end_however_often_it_is_counted() -> None:
    CounterStorage(NOW).incr("a", MINUTE)
    later = CounterStorage(NOW + timedelta(seconds=59))

    assert later.incr("a", MINUTE) == 2
    assert later.get_expiry("a") == (NOW + timedelta(seconds=60)).timestamp()


def test_a_window_that_is_over_starts_afresh() -> None:
    CounterStorage(NOW).incr("a", MINUTE, 5)
    later = CounterStorage(NOW + timedelta(seconds=60))

    assert later.get("a") == 0
    assert later.incr("a", MINUTE) == 1
    assert later.get_expiry("a") == (NOW + timedelta(seconds=120)).timestamp()


def test_an_unknown_key_is_at_nothing_and_ends_now() -> None:
    assert CounterStorage(NOW).get("a") == 0
    assert CounterStorage(NOW).get_expiry("a") == NOW.timestamp()


def test_a_count_is_undone_with_the_sessions_transaction() -> None:
    storage = CounterStorage(NOW)
    storage.incr("a", MINUTE)
    db.session.commit()
    storage.incr("a", MINUTE)
    db.session.rollback()

    assert storage.get("a") == 1


def test_a_count_is_undone_with_a_hot_transaction() -> None:
    with hot.transaction() as tx:
        CounterStorage(NOW, tx).incr("a", MINUTE)
        tx.rollback()
        CounterStorage(NOW, tx).incr("b", MINUTE)

    assert (CounterStorage(NOW).get("a"), CounterStorage(NOW).get("b")) == (0, 1)


def test_a_count_at_once_stands_whatever_becomes_of_the_transaction() -> None:
    assert count_at_once("a", MINUTE, now=NOW) == 1
    assert count_at_once("a", MINUTE, now=NOW) == 2
    db.session.rollback()

    assert CounterStorage(NOW).get("a") == 2


def test_resetting_forgets_every_key_and_says_how_many() -> None:
    storage = CounterStorage(NOW)
    for key in KEYS:
        storage.incr(key, MINUTE)

    assert storage.reset() == 3
    assert [storage.get(key) for key in KEYS] == [0, 0, 0]
    assert storage.reset() == 0


def test_a_key_as_long_as_the_lockout_makes_them_fits() -> None:
    longest = RateLimitItemPerMinute(100, 1440, namespace="password").key_for("f" * 64)

    assert len(longest) <= 160
    assert CounterStorage(NOW).incr(longest, MINUTE) == 1
    assert CounterStorage(NOW).get(longest) == 1


def test_the_lockout_counts_in_the_database_by_flask_limiters_strategy() -> None:
    counters = counting(NOW)
    counters.hit(RateLimitItemPerMinute(3, 30, namespace="tries"), "somebody")

    assert type(counters) is type(limiter.limiter)
    assert "somebody" in db.session.execute(text("SELECT key FROM attempt_counter")).scalar_one()
