"""The floor: what Flask and the driver cost without any checks, counters or records.

One bare route for each benchmark, over a copy of the portal's tables. Each thread has its own
connection, which is the cheapest possible pool.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from argon2 import PasswordHasher
from flask import Flask, abort
from uuid_utils.compat import UUID, uuid7

# Copied from the portal, whose import would distort the floor; `bench.engines` compares them.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 20000",
)

FIND = "SELECT id, expires_at, max_uses, uses, revoked_at FROM invitation WHERE lookup = %s"
USE = (
    "UPDATE invitation SET uses = uses + 1 WHERE lookup = %s AND revoked_at IS NULL"
    " AND expires_at > %s AND uses < max_uses RETURNING id"
)
REDEEM = "INSERT INTO redemption (id, invitation_id, device, at) VALUES (%s, %s, %s, %s)"
ISSUE = (
    "INSERT INTO invitation (id, lookup, sealed, hint, label, created_by_id, created_at,"
    " expires_at, max_uses, uses) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
NEWEST = (
    "SELECT id, hint, created_by_id, created_at, expires_at, revoked_at, max_uses, uses"
    " FROM invitation WHERE created_by_id = %s ORDER BY id DESC LIMIT 50"
)
BEYOND = NEWEST.replace("ORDER", "AND id < %s ORDER")
OWNER = "SELECT id FROM account LIMIT 1"


class Postgres:
    """psycopg with its defaults."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = threading.local()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Execute one statement, in its own transaction unless one is open."""
        return self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute one statement for each row."""
        with self._connection.cursor() as cursor:
            cursor.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run several statements in one transaction."""
        with self._connection.transaction():
            yield

    def id(self, value: str | UUID) -> Any:
        """An id as the driver takes it."""
        return UUID(str(value))

    def time(self, value: datetime) -> Any:
        """A time as the driver takes it."""
        return value

    @property
    def _connection(self) -> psycopg.Connection:
        if not hasattr(self._own, "connection"):
            self._own.connection = psycopg.connect(self._url, autocommit=True)
        return self._own.connection


class Sqlite:
    """sqlite3, with the portal's pragmas."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._own = threading.local()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Execute one statement, in its own transaction unless one is open."""
        return self._connection.execute(statement.replace("%s", "?"), values)

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute one statement for each row."""
        self._connection.executemany(statement.replace("%s", "?"), rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run several statements in one transaction, write lock first, as in the portal."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def id(self, value: str | UUID) -> Any:
        """An id as the portal stores it in SQLite."""
        return str(value).replace("-", "")

    def time(self, value: datetime) -> Any:
        """A time as the portal stores it in SQLite."""
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")

    @property
    def _connection(self) -> sqlite3.Connection:
        if not hasattr(self._own, "connection"):
            self._own.connection = sqlite3.connect(self._path, isolation_level=None)
            for pragma in SQLITE_PRAGMAS:
                self._own.connection.execute(pragma)
        return self._own.connection


def create_app(url: str) -> Flask:
    """The floor's routes, over the database at `url`."""
    app = Flask(__name__)
    database: Postgres | Sqlite
    database = Sqlite(url.removeprefix("sqlite:///")) if "sqlite" in url else Postgres(url)
    add_hello(app)
    add_passwords(app)
    add_look_ups(app, database)
    add_changes(app, database)
    return app


def add_hello(app: Flask) -> None:
    """Add the route that needs no database."""

    @app.get("/healthz")
    @app.get("/hello")
    def hello() -> str:
        return "hello"


def add_passwords(app: Flask) -> None:
    """Add a route that verifies a hash with the portal's parameters."""
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    kept = hasher.hash("a pass phrase for nobody")

    @app.get("/verify")
    def verify() -> str:
        return str(hasher.verify(kept, "a pass phrase for nobody"))


def add_look_ups(app: Flask, database: Postgres | Sqlite) -> None:
    """Add routes of one SELECT each."""

    @app.get("/validate/<lookup>")
    def validate(lookup: str) -> str:
        if database.execute(FIND, [bytes.fromhex(lookup)]).fetchone() is None:
            abort(404)
        return "ok"

    @app.get("/history/<owner>")
    def newest(owner: str) -> str:
        return json.dumps(database.execute(NEWEST, [database.id(owner)]).fetchall(), default=str)

    @app.get("/history/<owner>/<cursor>")
    def beyond(owner: str, cursor: str) -> str:
        rows = database.execute(BEYOND, [database.id(owner), database.id(cursor)]).fetchall()
        return json.dumps(rows, default=str)


def add_changes(app: Flask, database: Postgres | Sqlite) -> None:
    """Add routes of one transaction each."""

    @app.post("/login/<lookup>/<device>")
    def login(lookup: str, device: str) -> str:
        now = database.time(datetime.now(UTC))
        with database.transaction():
            used = database.execute(USE, [bytes.fromhex(lookup), now]).fetchone()
            if used is None:
                abort(404)
            database.execute(REDEEM, [database.id(uuid7()), used[0], device, now])
        return "ok"

    @app.post("/generate/<owner>")
    def generate(owner: str) -> str:
        now = datetime.now(UTC)
        until = now + timedelta(days=7)
        lookup, sealed = os.urandom(32), os.urandom(40)
        keys = database.id(uuid7()), lookup, sealed, "HINT", "", database.id(owner)
        database.execute(ISSUE, [*keys, database.time(now), database.time(until), 1, 0])
        return "ok"


app = create_app(os.environ.get("FLOOR_DATABASE_URL", ""))
