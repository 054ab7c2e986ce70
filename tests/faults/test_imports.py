"""Imports that are confirmed side by side, and processes killed while they read or confirm one."""

import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.domain.batches import batches
from portal.domain.imports import preview, uploads
from portal.domain.invitations.invitations import Terms
from portal.extensions import db
from portal.models import Account, Batch, BatchRow, BatchState, BatchUpload, Invitation
from tests import factories
from tests.faults.attack import Browser, at_once, must_break, statuses
from tests.faults.conftest import Serve
from tests.servers import command, work

FORM = {"validity": "days", "days": "7", "uses": "one", "language": "en"}
TABS = 4
GUESTS = 40
LINES = uploads.CHUNK + 500
PATIENCE = 240  # seconds

pytestmark = [pytest.mark.usefixtures("context"), pytest.mark.gunicorn]

_rounds = count(1)


def confirm_overlapping(url: str) -> list[int]:
    """Four tabs with the same guests, and one of its own each, are confirmed at the same moment.

    Return how many invitations each guest got.
    """
    host = f"round{next(_rounds)}.example.org"
    shared = [f"guest{number}@{host}" for number in range(GUESTS)]
    staff = Browser.open(url)
    staff.sign_in("olivia")
    pages = []
    for tab in range(TABS):
        answer = staff.submit(
            "/admin/imports", **FORM, pasted="\n".join([*shared, f"{tab}@{host}"])
        )
        assert answer.status_code == 303, answer.text
        pages.append(answer.headers["Location"])

    answers = at_once([partial(staff.twin().submit, f"{page}/confirmation") for page in pages])

    assert statuses(answers) == {303: TABS}
    held = sa.select(sa.func.count()).where(Invitation.recipient.endswith(f"@{host}"))
    counts = db.session.scalars(held.group_by(Invitation.recipient)).all()
    db.session.rollback()
    return list(counts)


def test_who_stands_in_two_imports_confirmed_at_once_is_invited_once(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal() as url:
        for _ in range(3):
            assert confirm_overlapping(url) == [1] * (GUESTS + TABS)

    assert set(db.session.scalars(sa.select(Batch.state))) == {BatchState.ISSUED}


def test_without_the_guard_somebody_is_invited_twice(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="invited_looked_for_first") as url:
        must_break(lambda: max(confirm_overlapping(url)) > 1)


# --- Killed ---


class Seen(NamedTuple):
    """What the database says of the newest import at a moment, and how many were ever invited."""

    state: BatchState | None = None
    staged: int = 0
    invited: int = 0


def look() -> Seen:
    """Look in one statement, which sees one moment; at each of them all are invited, or nobody."""
    invited = sa.select(sa.func.count(Invitation.id)).scalar_subquery()
    question = sa.select(Batch.state, Batch.staged, invited).order_by(Batch.id.desc())
    found = db.session.execute(question).first()
    db.session.rollback()
    seen = Seen(*found) if found else Seen()
    assert seen.invited in {0, LINES}
    return seen


def wait_until(reached: Callable[[Seen], bool]) -> Seen:
    """Look until it has come so far."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen = look()
        if reached(seen):
            return seen
        time.sleep(0.005)
    raise AssertionError(f"the import went no further than {look()}")


@pytest.fixture
def guests(tmp_path: Path) -> Path:
    """A file of so many different guests."""
    path = tmp_path / "guests.csv"
    path.write_text("".join(f"guest{number}@example.org\n" for number in range(LINES)))
    return path


def assert_each_invited_once() -> None:
    assert look().invited == LINES
    recipients = sa.select(sa.func.count(sa.distinct(Invitation.recipient)))
    assert db.session.scalar(recipients) == LINES
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BatchRow)) == 0
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BatchUpload)) == 0


# case 71, where the worker reads
def test_a_worker_killed_while_it_reads_leaves_a_file_to_be_read_on(
    database_url: str, olivia: Account, guests: Path
) -> None:
    with guests.open("rb") as file:
        by = {"by": olivia, "origin": factories.device(), "now": utcnow()}
        batch = uploads.receive(file, Terms(), name="Guests", **by)
    with work(database_url) as worker:
        wait_until(lambda seen: seen.staged > 0)
        worker.kill()
        worker.wait()
    killed = look()
    assert killed.invited == 0

    earlier = utcnow() - timedelta(seconds=1)  # as if its lease had run out
    db.session.execute(sa.update(Batch).values(leased_until=earlier))
    db.session.commit()
    with work(database_url):
        assert wait_until(lambda seen: seen.state is BatchState.PREVIEW).staged == LINES

    assert preview.confirm(batches.get(batch.id, by=olivia), **by) == LINES
    batches.complete(batch.id, origin=factories.device(), now=utcnow())
    assert_each_invited_once()


# case 71, where one process does it all
@pytest.mark.parametrize("reached", [BatchState.READING, BatchState.ISSUING])
def test_a_command_killed_while_it_imports_is_simply_given_again(
    database_url: str, olivia: Account, guests: Path, reached: BatchState
) -> None:
    order = list(BatchState)
    words = ("import", str(guests), "--by", "olivia")

    with command(database_url, *words) as first:
        wait_until(
            lambda seen: bool(seen.staged) and order.index(seen.state) >= order.index(reached)
        )
        first.kill()
        first.wait()
    is_confirmed = look().state not in preview.UNCONFIRMED
    with command(database_url, *words) as second:
        assert second.wait(PATIENCE) == is_confirmed  # then there is nobody left to invite
    with work(database_url):
        wait_until(lambda seen: seen.invited == LINES)

    preview.forget_unconfirmed(now=utcnow() + 2 * preview.KEPT_FOR)
    assert_each_invited_once()
