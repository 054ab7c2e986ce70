"""Workers killed while they issue a batch: none of its codes or all of them, and never more."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.audit import chain
from portal.domain.batches import batches
from portal.domain.invitations.invitations import Terms
from portal.extensions import db
from portal.models import Account, Batch, BatchRow, BatchState, Invitation
from tests import factories
from tests.servers import PATIENCE, work

SIZE = 10_000

pytestmark = pytest.mark.usefixtures("context")


@dataclass(frozen=True)
class Seen:
    """What the database says of a batch at a moment."""

    state: BatchState
    staged: int
    issued: int

    @property
    def all_or_none(self) -> bool:
        """Whether nothing stands half done."""
        return self.issued == (SIZE if self.state is BatchState.ISSUED else 0)


@pytest.fixture
def batch(olivia: Account) -> UUID:
    """A batch of which nothing is drawn yet."""
    origin = factories.device()
    made = batches.create(Terms(), name="Guests", size=SIZE, by=olivia, origin=origin, now=utcnow())
    return made.id


def look(batch: UUID) -> Seen:
    """Look at it in one statement, which sees one moment."""
    issued = sa.select(sa.func.count()).where(Invitation.batch_id == batch).scalar_subquery()
    question = sa.select(Batch.state, Batch.staged, issued).where(Batch.id == batch)
    seen = Seen(*db.session.execute(question).one())
    db.session.rollback()
    return seen


def wait_until(batch: UUID, reached: Callable[[Seen], bool]) -> Seen:
    """Look at it until that is so; at every moment all is there, or nothing."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen = look(batch)
        assert seen.all_or_none, seen
        if reached(seen):
            return seen
    raise AssertionError(f"the batch went no further than {look(batch)}")


def kill_worker_when(database_url: str, batch: UUID, reached: Callable[[Seen], bool]) -> Seen:
    """Kill a worker, without a word of warning, as soon as the batch is so far."""
    with work(database_url) as worker:
        wait_until(batch, reached)
        worker.kill()
        worker.wait()
    return look(batch)


def is_issued(seen: Seen) -> bool:
    return seen.state is BatchState.ISSUED


def assert_whole(batch: UUID, olivia: Account) -> None:
    """Ten thousand different codes that let people in, counted once, and nothing left over."""
    seen = look(batch)
    assert (seen.state, seen.issued) == (BatchState.ISSUED, SIZE)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BatchRow)) == 0
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Invitation)) == SIZE
    db.session.refresh(olivia)
    assert olivia.invitations_issued == SIZE
    first, *_ = batches.issued(batch)
    assert factories.redeem(factories.code_of(first), origin=factories.device(), now=utcnow())
    assert chain.first_broken_link() is None


# case 73
def test_a_worker_killed_again_and_again_issues_all_in_the_end_and_nothing_twice(
    database_url: str, batch: UUID, olivia: Account
) -> None:
    far_enough: list[Callable[[Seen], bool]] = [
        lambda seen: seen.staged > 0,
        lambda seen: seen.staged >= SIZE // 2,
        lambda seen: seen.staged == SIZE,  # on the brink of publishing, or in the middle of it
    ]
    for reached in far_enough:
        assert kill_worker_when(database_url, batch, reached).all_or_none

    with work(database_url):
        wait_until(batch, is_issued)

    assert_whole(batch, olivia)


# case 73, with hands that begin together
def test_four_who_go_on_with_a_batch_at_once_issue_it_once(
    app: Flask, batch: UUID, olivia: Account
) -> None:
    together = threading.Barrier(4)

    def go_on(_: int) -> None:
        with app.app_context():
            together.wait()
            batches.complete(batch, origin=factories.device(), now=utcnow())

    with ThreadPoolExecutor(4) as hands:
        list(hands.map(go_on, range(4)))

    assert_whole(batch, olivia)


# case 73, with more hands
@pytest.mark.pooler
def test_two_workers_issue_a_batch_once(database_url: str, batch: UUID, olivia: Account) -> None:
    with work(database_url), work(database_url):
        wait_until(batch, is_issued)
        time.sleep(0.1)  # the other one looks again

    assert_whole(batch, olivia)


# case 73, from where it stopped
def test_what_was_drawn_before_a_crash_is_not_drawn_again(database_url: str, batch: UUID) -> None:
    seen = kill_worker_when(database_url, batch, lambda seen: seen.staged > 0)
    first_rows = partial(_lookups, batch, seen.staged)
    drawn = first_rows()

    with work(database_url):
        wait_until(batch, is_issued)

    kept = set(db.session.scalars(sa.select(Invitation.lookup)))
    assert seen.staged < SIZE
    assert len(drawn) == seen.staged
    assert drawn <= kept


def _lookups(batch: UUID, count: int) -> set[bytes]:
    rows = sa.select(BatchRow.lookup).where(BatchRow.batch_id == batch, BatchRow.number <= count)
    return {lookup for lookup in db.session.scalars(rows) if lookup}
