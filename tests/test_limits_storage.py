"""The counters of the lockout, beside those the `limits` library keeps in memory."""

import threading
from datetime import timedelta

import hypothesis
import pytest
import time_machine
from flask import current_app
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

from portal.extensions import db, lockout
from portal.limits_storage import DatabaseStorage, Limit, ProcessStorage, at
from tests.factories import NOW

KEYS = ["tries/one", "tries/two", "lock/one"]
MINUTE = 60


@pytest.fixture
def storage(context: None) -> DatabaseStorage:
    """The counters, all at nothing."""
    return DatabaseStorage("portal://")


@pytest.mark.parametrize("name", ["a" * 64, "2001:db8::/64", "10.0.0.1/landing.redeem", ""])
def test_a_limit_makes_the_keys_the_library_makes(name: str) -> None:
    item = RateLimitItemPerMinute(3, 30, namespace="tries")
    assert Limit(item).key_for(name) == item.key_for(name)


class Beside(RuleBasedStateMachine):
    """The same counts, in our storage and in theirs, while time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = time_machine.travel(NOW, tick=False)
        self.time = self.clock.start()
        self.ours, self.theirs = DatabaseStorage("portal://"), MemoryStorage()
        # A timer that never rings: what is over is forgotten when it is read.
        self.theirs.timer.cancel()
        self.theirs.timer = threading.current_thread()  # type: ignore[assignment]

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
            assert self.ours.get_expiry(key) == pytest.approx(self.theirs.get_expiry(key), abs=1e-6)

    def teardown(self) -> None:
        """Undo what was not committed."""
        db.session.rollback()
        self.clock.stop()


def test_the_counters_behave_as_the_librarys_own(context: None) -> None:
    run_state_machine_as_test(
        Beside, settings=hypothesis.settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


class InThisProcessBeside(Beside):
    """The same for our storage in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.ours = ProcessStorage("process://")  # type: ignore[assignment]


def test_the_counters_in_memory_behave_as_the_librarys_own(context: None) -> None:
    run_state_machine_as_test(
        InThisProcessBeside,
        settings=hypothesis.settings(max_examples=25, stateful_step_count=25, deadline=None),
    )


def test_memory_forgets_the_keys_whose_windows_are_over() -> None:
    storage = ProcessStorage("process://")
    with time_machine.travel(NOW, tick=False) as clock:
        for number in range(ProcessStorage.FEWEST):
            storage.incr(f"early {number}", MINUTE)
        clock.shift(MINUTE)
        storage.incr("late", MINUTE)

        assert storage.reset() == 1


def test_a_window_ends_when_it_was_to_end_however_often_it_is_counted(
    storage: DatabaseStorage,
) -> None:
    with at(NOW):
        storage.incr("a", MINUTE)
    with at(NOW + timedelta(seconds=59)):
        assert storage.incr("a", MINUTE) == 2
        assert storage.get_expiry("a") == (NOW + timedelta(seconds=60)).timestamp()


def test_a_window_that_is_over_starts_afresh(storage: DatabaseStorage) -> None:
    with at(NOW):
        storage.incr("a", MINUTE, 5)
    with at(NOW + timedelta(seconds=60)):
        assert storage.get("a") == 0
        assert storage.incr("a", MINUTE) == 1
        assert storage.get_expiry("a") == (NOW + timedelta(seconds=120)).timestamp()


def test_an_unknown_key_is_at_nothing_and_ends_now(storage: DatabaseStorage) -> None:
    with at(NOW):
        assert storage.get("a") == 0
        assert storage.get_expiry("a") == NOW.timestamp()


def test_one_moment_may_stand_inside_another(storage: DatabaseStorage) -> None:
    with at(NOW):
        with at(NOW + timedelta(hours=1)):
            pass
        assert storage.get_expiry("a") == NOW.timestamp()


def test_a_count_is_undone_with_the_transaction_it_was_part_of(storage: DatabaseStorage) -> None:
    with at(NOW):
        storage.incr("a", MINUTE)
        db.session.commit()
        storage.incr("a", MINUTE)
        db.session.rollback()

        assert storage.get("a") == 1


@pytest.mark.parametrize("lost", [False, True], ids=["connected", "the connection lost"])
def test_a_count_at_once_stands_whatever_becomes_of_the_transaction(
    storage: DatabaseStorage, *, lost: bool
) -> None:
    with at(NOW):
        assert storage.incr_at_once("a", MINUTE) == 1
        if lost:
            current_app.extensions["portal.connections"].current().connection.close()
        assert storage.get("a") == 1
        db.session.commit()
        assert storage.incr_at_once("a", MINUTE) == 2
        db.session.rollback()

        assert storage.get("a") == 2


def test_resetting_forgets_every_key_and_says_how_many(storage: DatabaseStorage) -> None:
    with at(NOW):
        for key in KEYS:
            storage.incr(key, MINUTE)

        assert storage.reset() == 3
        assert [storage.get(key) for key in KEYS] == [0, 0, 0]
        assert storage.reset() == 0


def test_counters_that_can_be_reached_say_so(storage: DatabaseStorage) -> None:
    assert storage.check()


def test_a_key_as_long_as_the_lockout_makes_them_fits(storage: DatabaseStorage) -> None:
    longest = RateLimitItemPerMinute(100, 1440, namespace="password").key_for("f" * 64)

    assert len(longest) <= 160
    with at(NOW):
        assert storage.incr(longest, MINUTE) == 1
        assert storage.get(longest) == 1


def test_the_lockout_counts_in_the_database_of_the_portal(storage: DatabaseStorage) -> None:
    with at(NOW):
        lockout.limiter.hit(RateLimitItemPerMinute(3, 30, namespace="tries"), "somebody")

    assert "somebody" in db.session.execute(text("SELECT key FROM attempt_counter")).scalar_one()
