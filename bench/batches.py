"""Issuing a batch, against the driver's own executemany of ready-made rows."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from bench import report
from bench.engines import Engine
from bench.floor import OWNER
from bench.report import Ratio
from bench.seeding import Seed, in_process
from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.audit.audit import NOBODY
from portal.domain.batches import batches
from portal.domain.batches.generation import mint
from portal.domain.invitations.invitations import Terms
from portal.extensions import db

SIZE = 100_000
TARGET = 0.33  # of the driver's speed, so three times its time
COPY = "bench_work_batches"
COLUMNS = (
    *("id", "lookup", "sealed", "hint", "label", "created_by_id", "created_at", "expires_at"),
    *("max_uses", "uses"),
)
INSERT = (
    f"INSERT INTO invitation ({', '.join(COLUMNS)})"  # noqa: S608 - the names are our own
    f" VALUES ({', '.join(['%s'] * len(COLUMNS))})"
)
TERMS = (
    "{size} codes into a table of {rows}, in one process. The portal draws, indexes and seals them,"
    " step by step with its progress, then publishes them with their audit event; the driver is"
    " given rows that are drawn, indexed and sealed already, and inserts them in one transaction."
)


def run(engines: Sequence[Engine], *, rows: int, rounds: int) -> None:
    """Measure, and publish the table."""
    figures = [[engine.name, measure(engine, rows=rows, rounds=rounds)] for engine in engines]
    text = "\n\n".join(
        [
            "# Issuing a batch, as a ratio to the driver's executemany",
            report.table(["engine", "codes a second"], figures),
            f"Each cell: the median of {rounds} rounds (lowest-highest), by turns.",
            TERMS.format(size=SIZE, rows=rows),
        ]
    )
    report.publish("batches", text)


def measure(engine: Engine, *, rows: int, rounds: int) -> Ratio:
    """The ratio on one engine."""
    seed = Seed(engine, rows, max_uses=1)
    ours, theirs = [], []
    for number in range(rounds):
        print(f"{engine.name}: batch, round {number + 1} …", flush=True)
        ours.append(SIZE / _time_portal(seed.copy("batches")))
        seed.copy("batches")
        theirs.append(SIZE / _time_driver(engine))
    return Ratio(ours, theirs, TARGET)


def _time_portal(url: str) -> float:
    with in_process(url).app_context():
        olivia = accounts.find("olivia")
        assert olivia
        terms = Terms(label="Bench", expires_at=utcnow() + timedelta(days=7))

        def issue() -> None:
            batch = batches.create(
                terms, name="Bench", size=SIZE, by=olivia, origin=NOBODY, now=utcnow()
            )
            batches.complete(batch.id, origin=NOBODY, now=utcnow())

        took = _timed(issue)
        db.session.remove()
        db.engine.dispose()
        return took


def _time_driver(engine: Engine) -> float:
    driver = engine.driver(COPY)
    owner = driver.execute(OWNER).fetchone()[0]
    now = datetime.now(UTC)
    created, ends = driver.time(now), driver.time(now + timedelta(days=7))
    with in_process(engine.url(COPY)).app_context():
        ready = [
            (driver.id(row), lookup, sealed, hint, "Bench", owner, created, ends, 1, 0)
            for row, lookup, sealed, hint in mint(SIZE)
        ]

    def insert() -> None:
        with driver.transaction():
            driver.executemany(INSERT, ready)

    return _timed(insert)


def _timed(work: Callable[[], Any]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began
