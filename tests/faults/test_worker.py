"""A task that kills its worker, twice: it is set aside, and all others go on (case 85)."""

import time
from collections.abc import Callable
from io import BytesIO
from uuid import UUID

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.domain.batches import batches
from portal.domain.imports import uploads
from portal.domain.invitations.invitations import Terms
from portal.domain.mail import outbox
from portal.domain.operations import worker_tasks
from portal.extensions import db
from portal.models import (
    Account,
    Batch,
    BatchState,
    Invitation,
    Mail,
    MailState,
    TaskKind,
    WorkerTask,
)
from tests import factories
from tests.mail_server import MailServer, Worker

MURDEROUS = "tests.faults.murderous_worker:app"
PATIENCE = 120  # seconds

pytestmark = [pytest.mark.usefixtures("context"), pytest.mark.gunicorn]


def wait_until(done: Callable[[], bool]) -> None:
    """Look again and again; fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        db.session.rollback()
        time.sleep(0.05)


def batch(olivia: Account, name: str) -> UUID:
    """A batch that the worker has to issue."""
    by = {"by": olivia, "origin": factories.device(), "now": utcnow()}
    return batches.create(Terms(), name=name, size=3, **by).id


def state_of(batch: UUID) -> BatchState:
    found = db.session.scalar(sa.select(Batch.state).where(Batch.id == batch))
    assert found is not None
    return found


def die_twice_then_work(
    database_url: str, server: MailServer, poison: str, done: Callable[[], bool]
) -> None:
    """Two workers die of the poison; the third lives until all others are done, and longer."""
    for _ in range(2):
        worker = Worker(database_url, server.url, MURDEROUS, POISON=poison)
        assert worker.wait(PATIENCE) < 0, "killed by a signal"
    worker = Worker(database_url, server.url, MURDEROUS, POISON=poison)
    wait_until(done)
    assert worker.is_alive()
    worker.stop()


def queue_mail(olivia: Account, recipient: str) -> Invitation:
    """An invitation whose mail waits."""
    invitation = factories.invitation(olivia, recipient=recipient, now=utcnow())
    outbox.queue("invitation", to=recipient, about=invitation.id, now=utcnow())
    db.session.commit()
    return invitation


def test_a_batch_that_kills_its_worker_stops_neither_others_nor_mail(
    database_url: str, olivia: Account
) -> None:
    deadly, other = batch(olivia, "poison"), batch(olivia, "Guests")
    queue_mail(olivia, "ana@example.org")

    with MailServer().running() as server:
        die_twice_then_work(
            database_url,
            server,
            "batch",
            lambda: (
                worker_tasks.is_set_aside(batches.get(deadly, by=olivia))
                and state_of(other) is BatchState.ISSUED
            ),
        )

    assert state_of(deadly) is BatchState.ISSUING
    assert [recipient for recipient, _ in server.taken] == ["ana@example.org"]


def test_without_the_guard_the_third_worker_dies_as_well(
    database_url: str, olivia: Account
) -> None:
    batch(olivia, "poison")

    with MailServer().running() as server:
        for _ in range(3):
            worker = Worker(database_url, server.url, MURDEROUS, POISON="batch", UNGUARDED="1")
            assert worker.wait(PATIENCE) < 0


@pytest.mark.parametrize("poison", ["import", "reminders", "chain", "retention"])
def test_whichever_task_kills_its_worker_is_set_aside(
    database_url: str, olivia: Account, poison: str
) -> None:
    by = {"by": olivia, "origin": factories.device(), "now": utcnow()}
    uploads.receive(BytesIO(b"ana@example.org"), Terms(), name="poison", **by)
    other = batch(olivia, "Guests")
    kind = TaskKind(poison)

    def is_done() -> bool:
        aside = sa.select(WorkerTask.set_aside_at).where(WorkerTask.kind == kind)
        return bool(db.session.scalar(aside)) and state_of(other) is BatchState.ISSUED

    with MailServer().running() as server:
        die_twice_then_work(database_url, server, poison, is_done)


def test_a_mail_that_kills_its_worker_is_given_up_and_the_others_are_sent(
    database_url: str, olivia: Account
) -> None:
    recipients = ["a@example.org", "poison@example.org", "b@example.org", "c@example.org"]
    for recipient in recipients:
        queue_mail(olivia, recipient)

    with MailServer().running() as server:
        die_twice_then_work(
            database_url,
            server,
            "mail",
            lambda: outbox.counts() == {"waiting": 0, "sent": 3, "failed": 1},
        )

    given_up = db.session.scalars(sa.select(Mail).where(Mail.state == MailState.FAILED)).one()
    assert given_up.recipient == "poison@example.org"
    assert {to for to, _ in server.taken} == set(recipients) - {"poison@example.org"}
