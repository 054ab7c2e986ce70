"""The worker's rounds: every task has its turn, whatever happens to the one before it."""

from collections.abc import Callable
from threading import Event
from uuid import UUID

import pytest

from portal import schema, worker
from portal.clock import utcnow
from portal.domain import batches
from portal.domain.batches import STEP
from portal.domain.invitations import Terms
from portal.models import Account, BatchState
from tests import factories

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def olivia(context: None) -> Account:
    return factories.owner(utcnow())


@pytest.fixture
def begin(olivia: Account) -> Callable[[int], UUID]:
    """Begins a batch of that size."""

    def begin(size: int) -> UUID:
        values = {"by": olivia, "origin": factories.device(), "now": utcnow()}
        return batches.create(Terms(), name="Guests", size=size, **values).id

    return begin


def state(batch: UUID, by: Account) -> BatchState:
    return batches.get(batch, by=by).state


def test_once_does_all_there_is_to_do(olivia: Account, begin: Callable[[int], UUID]) -> None:
    begun = [begin(1), begin(STEP + 1)]

    worker.run(Event(), once=True)

    assert {state(batch, olivia) for batch in begun} == {BatchState.ISSUED}


def test_a_large_batch_keeps_no_small_one_waiting(
    olivia: Account, begin: Callable[[int], UUID]
) -> None:
    large, small = begin(5 * STEP), begin(1)

    for _ in range(2):
        worker.issue_batches()

    assert state(large, olivia) is BatchState.ISSUING
    assert state(small, olivia) is BatchState.ISSUED


def test_a_batch_that_cannot_go_on_stops_no_other(
    olivia: Account, begin: Callable[[int], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = begin(1), begin(1)
    advance = batches.advance

    def break_one(batch: UUID, **values: object) -> bool:
        if batch == broken:
            raise RuntimeError("out of order")
        return advance(batch, **values)

    monkeypatch.setattr(batches, "advance", break_one)
    worker.run(Event(), once=True)

    assert state(broken, olivia) is BatchState.ISSUING
    assert state(whole, olivia) is BatchState.ISSUED


def test_a_task_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def fail() -> bool:
        raise RuntimeError("out of order")

    monkeypatch.setattr(worker, "ROUND", (fail, lambda: done.append("mails")))
    worker.run(Event(), once=True)

    assert done == ["mails"]


def test_a_worker_that_is_told_to_stop_does_nothing_more(
    olivia: Account, begin: Callable[[int], UUID]
) -> None:
    stop = Event()
    stop.set()
    begun = begin(1)

    worker.run(stop)

    assert state(begun, olivia) is BatchState.ISSUING


def test_a_worker_waits_for_its_tables(
    olivia: Account, begin: Callable[[int], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(1)
    monkeypatch.setattr(schema, "newest", lambda: "9999")
    stop = Waited()

    worker.run(stop)

    assert stop.pauses == [worker.PAUSE]
    assert state(begun, olivia) is BatchState.ISSUING


class Waited(Event):
    """Tells how long somebody meant to wait for it; being waited for, it happens."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0)
        self.set()
        return True
