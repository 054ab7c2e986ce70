"""A thousand mails, two workers, five murders, and a mail server in a bad mood (cases 74, 75)."""

import time
from collections import Counter
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, Invitation, Mail, MailState
from tests.domain.mail.test_resend import batch_of
from tests.mail_server import MailServer, Worker

HASTY = "tests.faults.hasty_worker:app"
UNGUARDED = "tests.faults.unguarded:app"
PATIENCE = 240  # seconds
KILLS = 5


def moody() -> Callable[[str], str]:
    """Refuses bad mailboxes for good, and each seventh other at first: aloud, or silently."""
    asked: Counter[str] = Counter()

    def mood(recipient: str) -> str:
        asked[recipient] += 1
        if recipient.startswith("bad"):
            return "550 no such mailbox"
        number = int(recipient.partition("@")[0].removeprefix("guest"))
        if asked[recipient] == 1 and number % 7 == 0:
            return "" if number % 2 else "451 come back later"
        return "250 OK"

    return mood


def wait_until(done: Callable[[], bool]) -> None:
    """Look again and again; fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"still: {states()}"
        time.sleep(0.05)


def states() -> dict[MailState, int]:
    """How many mails are in each state now."""
    db.session.rollback()
    return outbox.counts()


@pytest.mark.pooler
def test_whatever_dies_everybody_gets_one_mail_or_the_same_twice(
    database_url: str, olivia: Account
) -> None:
    good = [f"guest{number}@example.org" for number in range(980)]
    bad = [f"bad{number}@example.org" for number in range(20)]
    batch_of(olivia, *good, *bad, issued_now=utcnow())

    with MailServer(moody()).running() as server:
        workers = [Worker(database_url, server.url, HASTY) for _ in range(2)]
        for kill in range(KILLS):
            wait_until(lambda wanted=(kill + 1) * 130: len(server.taken) >= wanted)
            workers[kill % 2].kill()
            workers[kill % 2] = Worker(database_url, server.url, HASTY)
        wait_until(lambda: states()[MailState.WAITING] == 0)
        outbox.retry_all(now=utcnow())  # a mail that two kills happened to hit was set aside
        wait_until(lambda: states()[MailState.WAITING] == 0)
        for worker in workers:
            worker.stop()

    assert states() == {MailState.WAITING: 0, MailState.SENT: 980, MailState.FAILED: 20}
    times = Counter(recipient for recipient, _ in server.taken)
    assert set(times) == set(good)
    doubled = sum(times.values()) - len(times)
    assert doubled <= KILLS, f"{doubled} doubles"
    ids = {(recipient, message["Message-ID"]) for recipient, message in server.taken}
    assert len(ids) == len(good), "a double has the Message-ID of the first"
    dead = sa.select(Mail.recipient, Mail.error).where(Mail.state == MailState.FAILED)
    assert {(to, error) for to, error in db.session.execute(dead)} == {
        (to, "550 no such mailbox") for to in bad
    }
    mailed = sa.select(sa.func.count()).where(Invitation.mailed_at.is_not(None))
    assert db.session.scalar(mailed) == 980


def test_without_leases_two_workers_send_the_same_mails(database_url: str, olivia: Account) -> None:
    guests = [f"guest{number}@example.org" for number in range(1, 200) if number % 7]
    batch_of(olivia, *guests, issued_now=utcnow())

    with MailServer(moody()).running() as server:
        environment = {"UNGUARDED": "mails_not_leased"}
        workers = [Worker(database_url, server.url, UNGUARDED, **environment) for _ in range(2)]
        wait_until(lambda: states()[MailState.WAITING] == 0)
        for worker in workers:
            worker.stop()

    assert len(server.taken) > len(guests), "the test above proves nothing"
