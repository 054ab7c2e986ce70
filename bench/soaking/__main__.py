"""`bench/soak`: measure capacity, load the portal to 80 % of it, break things, then check."""

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade

from bench.servers import PRODUCTION
from bench.soaking import verdict
from bench.soaking.parts import Mailbox, Portal, Postgres, redis
from bench.soaking.traffic import Codes, Crowd
from portal import create_app
from portal.clock import utcnow
from portal.config import ROOT, Settings
from portal.domain.accounts import accounts
from portal.domain.client import NOBODY
from portal.domain.invitations import codes, invitations
from portal.domain.invitations.invitations import Terms
from portal.extensions import db

LOG = Path(tempfile.gettempdir()) / "soak.log"  # of the portal, to find the reason for failures
REPORT = ROOT / "docs" / "soak.md"
THREADS = 8
SHARE = 0.8  # of capacity
CAPACITY_SECONDS = 15
PASSWORD = "a pass phrase for olivia"


@dataclass
class Faults:
    """The faults that were caused, with their times (seconds from the beginning)."""

    began: float = field(default_factory=time.monotonic)
    told: list[tuple[float, str]] = field(default_factory=list)

    def tell(self, what: str) -> None:
        """Record a fault."""
        self.told.append((time.monotonic() - self.began, what))
        print(f"{self.told[-1][0]:6.1f} s  {what}")


def main() -> int:
    """Soak, judge, report; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="bench/soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name, redis() as redis_url:
        folder = Path(name)
        postgres, mailbox = Postgres(folder), Mailbox()
        postgres.start()
        mailbox.start()
        settings = {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis_url,
            "MAIL_URL": f"smtp://127.0.0.1:{mailbox.port}",
        }
        portal = Portal(folder, **settings)
        try:
            report = _soak(portal, postgres, mailbox, settings, minutes)
        finally:
            portal.stop()
            shutil.copy(portal.log, LOG)
            mailbox.stop()
            postgres.stop()
    REPORT.write_text(report.text())
    print(report.text())
    return 0 if report.is_good else 1


def _soak(
    portal: Portal, postgres: Postgres, mailbox: Mailbox, settings: dict[str, str], minutes: float
) -> verdict.Report:
    app = create_app(Settings(_env_file=None, **_by_name(PRODUCTION | settings)))
    with app.app_context():
        upgrade()
        lasting = _first_codes()
    portal.start()
    time.sleep(3)
    crowd = Crowd(portal.url, Codes(SingleCodes(app), lasting), "olivia", PASSWORD)
    capacity = crowd.run(THREADS, CAPACITY_SECONDS, None)
    print(f"Capacity with these clients: {capacity:.0f} deeds a second.")
    faults, memory, stop = Faults(), [], threading.Event()
    breaker = threading.Thread(
        target=_break, args=(faults, portal, postgres, mailbox, minutes * 60)
    )
    watcher = threading.Thread(target=_watch, args=(portal, memory, stop))
    breaker.start()
    watcher.start()
    crowd.memory.seconds.clear()
    rate = crowd.run(THREADS, minutes * 60, SHARE * capacity)
    breaker.join()
    stop.set()
    watcher.join()
    with app.app_context():
        verdict.wait_for_mails(patience=180)
        return verdict.judge(
            crowd.memory,
            mailbox,
            faults.told,
            memory,
            minutes=minutes,
            capacity=capacity,
            rate=rate,
        )


def _by_name(environment: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in environment.items()}


def _first_codes() -> str:
    olivia = accounts.create_owner(
        email="olivia@example.org",
        username="olivia",
        password=PASSWORD,
        origin=NOBODY,
        now=utcnow(),
    )
    lasting = invitations.issue(
        Terms(label="lasting", max_uses=None), by=olivia, origin=NOBODY, now=utcnow()
    )
    return codes.grouped(invitations.code_of(lasting))


class SingleCodes(Iterator[str]):
    """Single-use codes, issued as needed."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._ready = itertools.chain.from_iterable(iter(self._some, None))

    def __next__(self) -> str:
        return next(self._ready)

    def _some(self) -> list[str]:
        """Issue a hundred more, retrying while the database is down."""
        for _ in range(60):
            with self._app.app_context():
                try:
                    return [self._one() for _ in range(100)]
                except Exception:
                    db.session.rollback()
                    time.sleep(0.5)
        raise SystemExit("The database did not come back.")

    def _one(self) -> str:
        olivia = accounts.find("olivia")
        assert olivia is not None
        terms = Terms(label="single")
        return invitations.code_of(invitations.issue(terms, by=olivia, origin=NOBODY, now=utcnow()))


def _break(
    faults: Faults, portal: Portal, postgres: Postgres, mailbox: Mailbox, seconds: float
) -> None:
    """Break one part after another, each after the previous one has recovered."""
    time.sleep(seconds * 0.2)
    faults.tell("a gunicorn worker is killed (-9)")
    portal.kill_worker()
    time.sleep(seconds * 0.2)
    faults.tell("Postgres is restarted as by a crash (pg_ctl -m immediate)")
    postgres.restart()
    faults.tell("Postgres is back")
    time.sleep(seconds * 0.1)
    faults.tell("the mail server goes away")
    mailbox.stop()
    time.sleep(seconds * 0.1)
    faults.tell("the mail server is back")
    mailbox.start()
    time.sleep(seconds * 0.1)
    faults.tell("the worker that sends mail is killed (-9), and started again")
    portal.kill_sender()


def _watch(portal: Portal, memory: list[float], stop: threading.Event) -> None:
    while not stop.wait(2):
        if found := portal.memory():
            memory.append(statistics.mean(found.values()))


if __name__ == "__main__":
    sys.exit(main())
