"""The outbox against bare smtplib: the same messages to the same server, one after another.

The server's own clock decides: messages accepted per second, from the first to the last.
"""

import os
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from flask_migrate import upgrade

from bench import report
from bench.engines import RESULTS, Engine
from bench.mail_server import HOST, PORT
from bench.report import Ratio
from bench.seeding import EMAIL, PASSWORD, in_process
from bench.servers import PRODUCTION
from portal.clock import utcnow
from portal.config import ROOT
from portal.domain.accounts import accounts
from portal.domain.audit.audit import NOBODY
from portal.domain.batches import batches
from portal.domain.batches.batches import Draft
from portal.domain.mail import invitation_mail
from portal.extensions import db
from portal.mail import invitation_messages
from portal.models import Batch, BatchState, Mail

TARGET = 0.6
MAILS = 2_000
SEED, WORK = "bench_seed_outbox", "bench_work_outbox"
TERMS = (
    "Bare smtplib sends messages that are ready, over one connection; the outbox leases, renders"
    " (text, HTML, the QR picture), sends, and settles each mail by a commit of its own. One"
    " worker, and a connection for each lease of 100 mails. The server takes several commands at"
    " once (RFC 2920), as most do; smtplib never asks."
)


def run(engines: Sequence[Engine], *, rounds: int, mails: int) -> None:
    """Measure, and publish the table."""
    lines = [_line(engine, rounds, mails) for engine in engines]
    table = report.table(("engine", f"of bare smtplib (at least {TARGET})"), lines)
    conditions = (
        f"The median of {rounds} rounds of {mails} mails (lowest-highest), both by turns; load"
        f" average when it ended: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} shared cores."
    )
    text = f"# The outbox, as a ratio to bare smtplib\n\n{table}\n\n{TERMS}\n\n{conditions}"
    report.publish("outbox", text)


def _line(engine: Engine, rounds: int, mails: int) -> tuple[str, Ratio]:
    sample = _seed(engine, mails)
    ours, theirs = [], []
    for _ in range(rounds):
        with _server() as log:
            _send_bare(sample, mails)
            theirs.append(_pace(log))
        url = engine.copy(SEED, WORK)
        with _server() as log:
            _run_worker(url)
            ours.append(_pace(log))
        print(f"{engine.name}: {ours[-1]:.0f} of {theirs[-1]:.0f} a second", flush=True)
    engine.drop(SEED)
    engine.drop(WORK)
    return engine.name, Ratio(ours, theirs, TARGET)


def _seed(engine: Engine, mails: int) -> bytes:
    """Create a batch whose mails wait; return one of its messages."""
    engine.create(SEED)
    app = in_process(engine.url(SEED))
    with app.app_context():
        upgrade()
        now = utcnow()
        owner = accounts.create_owner(
            email=EMAIL, username="olivia", password=PASSWORD, origin=NOBODY, now=now
        )
        batch = Batch(name="Guests", created_by_id=owner.id, created_at=now, mailed=True)
        batch.state, batch.size = BatchState.ISSUING, mails
        db.session.add(batch)
        db.session.flush()
        ends = now + timedelta(days=30)
        guests = range(1, mails + 1)
        drafts = [
            Draft(number=n, recipient=f"guest{n}@example.org", expires_at=ends) for n in guests
        ]
        batches.stage(batch.id, drafts)
        batches.publish(batch, origin=NOBODY, now=now)
        mail = db.session.scalars(sa.select(Mail).limit(1)).one()
        sample = invitation_messages.render(
            mail, invitation_mail.matters([mail])[mail.id]
        ).as_bytes()
        db.session.remove()
        db.engine.dispose()
    return sample


@contextmanager
def _server() -> Iterator[Path]:
    """A fresh mail server; yields the path of its log."""
    log = RESULTS / "mail_server.log"
    server = subprocess.Popen([sys.executable, "-m", "bench.mail_server", str(log)], cwd=ROOT)
    try:
        _wait()
        yield log
    finally:
        server.terminate()
        server.wait()


def _wait() -> None:
    for _ in range(200):
        with socket.socket() as attempt:
            if not attempt.connect_ex((HOST, PORT)):
                return
        time.sleep(0.05)
    raise SystemExit("The mail server did not start.")


def _send_bare(message: bytes, count: int) -> None:
    with smtplib.SMTP(HOST, PORT) as connection:
        for number in range(count):
            connection.sendmail("us@example.org", [f"guest{number}@example.org"], message)


def _run_worker(database_url: str) -> None:
    settings = PRODUCTION | {
        "DATABASE_URL": database_url,
        "MAIL_URL": f"smtp://{HOST}:{PORT}",
        "BULK_MAILS_PER_MINUTE": "100000",
    }
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    environment = {"PATH": os.environ["PATH"]} | settings
    subprocess.run([*flask, "outbox", "run", "--once"], cwd=ROOT, env=environment, check=True)


def _pace(log: Path) -> float:
    moments = [float(line) for line in log.read_text().split()]
    return (len(moments) - 1) / (moments[-1] - moments[0])
