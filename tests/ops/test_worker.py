"""The worker's rounds: every task has its turn, whatever happens to the one before it."""

from collections.abc import Callable
from threading import Event
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from sqlalchemy.exc import OperationalError

from portal import schema
from portal.clock import utcnow
from portal.domain.batches import batches
from portal.domain.batches.batches import STEP
from portal.domain.invitations.invitations import Terms
from portal.domain.operations import worker_tasks
from portal.domain.operations.worker_tasks import Task
from portal.extensions import db
from portal.models import Account, BatchState, TaskKind, WorkerTask
from portal.ops import worker
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


def test_a_batch_that_fails_waits_before_it_is_tried_again(
    begin: Callable[[int], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(TaskKind.BATCH, str(begin(1)))
    tried = []

    def fail(*_: object, **__: object) -> bool:
        tried.append(utcnow())
        raise RuntimeError("out of order")

    monkeypatch.setattr(batches, "advance", fail)
    with time_machine.travel(utcnow(), tick=False) as clock:
        for pause in worker_tasks.PAUSES[: worker_tasks.MANY_FAILURES]:
            worker.issue_batches()
            worker.issue_batches()
            clock.shift(pause)

    assert len(tried) == worker_tasks.MANY_FAILURES
    [troubled] = worker_tasks.troubled()
    assert (troubled.kind, troubled.key) == task
    assert (troubled.error, troubled.deaths, troubled.set_aside_at) == ("RuntimeError", 0, None)


def test_a_failure_that_the_database_could_not_take_is_no_death(
    begin: Callable[[int], UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(TaskKind.BATCH, str(begin(1)))
    fail, advance = worker_tasks.fail, batches.advance
    gone = OperationalError("", {}, Exception())

    def break_off(*_: object, **__: object) -> bool:
        raise gone

    with time_machine.travel(utcnow(), tick=False) as clock:
        for module, verb in ((batches, "advance"), (worker_tasks, "fail")):
            monkeypatch.setattr(module, verb, break_off)
        worker.issue_batches()
        monkeypatch.setattr(worker_tasks, "fail", fail)
        monkeypatch.setattr(batches, "advance", advance)
        clock.shift(worker_tasks.LEASE)
        worker.issue_batches()

        assert worker_tasks._find(task).deaths == 0  # type: ignore[union-attr]
        clock.shift(worker_tasks.PAUSES[0])
        worker.issue_batches()
    assert worker_tasks._find(task) is None


# case 85
def test_a_batch_that_two_workers_died_of_is_left_alone_until_somebody_resumes_it(
    olivia: Account, begin: Callable[[int], UUID]
) -> None:
    deadly, other = begin(1), begin(1)
    task = Task(TaskKind.BATCH, str(deadly))
    for leases_ago in (2, 1):  # by workers that die
        assert worker_tasks.begin(task, now=utcnow() - leases_ago * worker_tasks.LEASE)

    worker.run(Event(), once=True)

    assert state(deadly, olivia) is BatchState.ISSUING
    assert state(other, olivia) is BatchState.ISSUED
    assert worker_tasks.is_set_aside(batches.get(deadly, by=olivia))

    worker_tasks.resume(task, by=olivia, origin=factories.device(), now=utcnow())
    worker.run(Event(), once=True)
    assert state(deadly, olivia) is BatchState.ISSUED


def test_a_batch_that_another_worker_may_be_at_is_left_to_it(
    olivia: Account, begin: Callable[[int], UUID]
) -> None:
    begun = begin(1)
    worker_tasks.begin(Task(TaskKind.BATCH, str(begun)), now=utcnow())

    worker.run(Event(), once=True)

    assert state(begun, olivia) is BatchState.ISSUING


def test_what_ended_well_leaves_no_trace(begin: Callable[[int], UUID]) -> None:
    begin(STEP + 1)

    worker.run(Event(), once=True)
    for task in (worker.queue_reminders, worker.prune, worker.link_events):
        task()

    assert db.session.scalar(sa.select(sa.func.count()).select_from(WorkerTask)) == 0


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
