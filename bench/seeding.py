"""Seeded databases with any number of invitations, which the portal can look up and open.

Rows are generated here and inserted by the driver, since issuing a million would take an hour. The
databases are kept until a migration, this file or the secret changes.
"""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain
from pathlib import Path
from secrets import token_hex
from typing import Any

from flask import Flask
from flask_migrate import upgrade

from bench.engines import CACHE, Engine
from bench.servers import PRODUCTION, SECRET
from portal import create_app
from portal.clock import utcnow
from portal.config import ROOT, Settings
from portal.db.types import new_id
from portal.domain.accounts import accounts
from portal.domain.audit.audit import NOBODY
from portal.domain.invitations import codes
from portal.extensions import db

EMAIL, PASSWORD = "olivia@example.org", "a pass phrase for olivia"
MANY = 1_000_000  # uses: more than any run spends
SAMPLE = 100_000  # codes the clients know
COLUMNS = (
    *("id", "lookup", "sealed", "hint", "label", "created_by_id", "created_at", "expires_at"),
    *("max_uses", "uses"),
)

LEDGER = ("id", "invitation_id", "device", "at")
COUNTERS = ("key", "hits", "expires_at")
# Postgres plans by its statistics and caches the plans. For empty tables it would scan the whole
# ledger at every login, since nothing updates the statistics while we measure.
VISITORS = 5_000

COUNTED = "UPDATE account SET invitations_issued = %s"


@dataclass(frozen=True)
class Known:
    """What a client may know about an active invitation; `lookup` and `id` are for the floor."""

    code: str
    lookup: str
    id: str


@dataclass(frozen=True)
class Seed:
    """A database of `rows` invitations. Of every ten, one has expired and one is used up."""

    engine: Engine
    rows: int
    max_uses: int

    @property
    def name(self) -> str:
        """The database name, which covers everything the seed depends on."""
        return f"bench_seed_{self.rows}_{self.max_uses}_{_version()}"

    def known(self) -> list[Known]:
        """A random sample of the active invitations."""
        return [Known(*line) for line in json.loads(self._sample.read_text())]

    def copy(self, purpose: str) -> str:
        """Copy the seed for a run, creating it first if necessary; return the URL."""
        if self.name not in self.engine.names() or not self._sample.exists():
            self._make()
        return self.engine.copy(self.name, f"bench_work_{purpose}")

    @property
    def _sample(self) -> Path:
        return CACHE / f"{self.name}.{self.engine.name}.json"

    def _make(self) -> None:
        print(f"Seeding {self.rows} invitations into {self.engine.name} …", flush=True)
        unfinished = "bench_unfinished"
        self.engine.create(unfinished)
        app = in_process(self.engine.url(unfinished))
        with app.app_context():
            upgrade()
            owner = accounts.create_owner(
                email=EMAIL, username="olivia", password=PASSWORD, origin=NOBODY, now=utcnow()
            )
            known: list[Known] = []
            rows = self._rows(self.engine.driver(unfinished).id(owner.id), known)
            db.session.remove()
            self.engine.driver(unfinished).execute(COUNTED, [self.rows])
            self.engine.fill(unfinished, "invitation", COLUMNS, rows)
            self.engine.fill(unfinished, "redemption", LEDGER, self._ledger(known))
            self.engine.fill(unfinished, "attempt_counter", COUNTERS, self._counters())
            db.engine.dispose()
        shuffled = random.sample(known, min(SAMPLE, len(known)))
        self._sample.write_text(json.dumps([(one.code, one.lookup, one.id) for one in shuffled]))
        self.engine.drop(self.name)  # it may have lost its sample
        self.engine.rename(unfinished, self.name)

    def _rows(self, owner: Any, known: list[Known]) -> Iterator[tuple[Any, ...]]:
        driver = self.engine.driver("")
        now = datetime.now(UTC)
        coming, gone = driver.time(now + timedelta(days=3650)), driver.time(now - timedelta(days=1))
        for number in range(self.rows):
            row, code = new_id(), codes.draw()
            lookup = codes.lookup(code)
            expired, used_up = number % 10 == 3, number % 10 == 7
            yield (
                *(driver.id(row), lookup, codes.seal(code, row), codes.hint(code), "", owner),
                *(driver.time(now), gone if expired else coming),
                *(self.max_uses, self.max_uses if used_up else 0),
            )
            if not (expired or used_up):
                known.append(Known(code, lookup.hex(), str(row)))

    def _ledger(self, known: list[Known]) -> Iterator[tuple[Any, ...]]:
        driver, now = self.engine.driver(""), datetime.now(UTC)
        for one in random.choices(known, k=VISITORS):
            yield driver.id(new_id()), driver.id(one.id), token_hex(32), driver.time(now)

    def _counters(self) -> Iterator[tuple[Any, ...]]:
        over = datetime.now(UTC).timestamp()
        for _ in range(VISITORS):
            yield f"seeded/{token_hex(32)}/1/30/minute", 1, over


def in_process(database_url: str) -> Flask:
    """The portal within this process, with the same keys as the servers."""
    values = {name.lower(): value for name, value in PRODUCTION.items()}
    values |= {"database_url": database_url, "log_level": "ERROR"}
    return create_app(Settings(_env_file=None, **values))


def drop_spoilt(engines: Iterable[Engine]) -> None:
    """Drop working copies, leftovers of interrupted runs, and seeds of other versions."""
    CACHE.mkdir(parents=True, exist_ok=True)
    version = _version()
    for engine in engines:
        for name in engine.names():
            if not name.endswith(version):
                engine.drop(name)
    for sample in CACHE.glob("bench_seed_*.json"):
        if version not in sample.name:
            sample.unlink()


def _version() -> str:
    sources = chain(ROOT.glob("migrations/versions/*.py"), [Path(__file__)])
    content = b"".join(path.read_bytes() for path in sorted(sources))
    return sha256(content + SECRET.encode()).hexdigest()[:8]
