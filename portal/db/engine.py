"""The engine, configured so that SQLite and Postgres behave alike.

On both, a statement sees what is committed when it starts. On SQLite, a transaction takes the write
lock with its first write. Rules are enforced by constraints and conditional updates, never by an
earlier read.

Nothing outlives a transaction on a connection to Postgres, since a pooler such as PgBouncer may
use another server connection for each transaction: no SET, no advisory lock, no temporary table,
and prepared statements only on connections known to be direct.
"""

import time
from functools import partial
from sqlite3 import Connection, Cursor
from typing import Any

from flask import Flask
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.exc import DisconnectionError

from portal.config import Settings
from portal.extensions import db

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 20000",
)
READS = ("SELECT", "PRAGMA", "EXPLAIN")
REST = 1.0  # seconds a connection may be idle before it is pinged
PREPARE_THRESHOLD = 5  # executions after which psycopg prepares a statement; its own default


def engine_options(settings: Settings) -> dict[str, Any]:
    """Arguments for `create_engine` besides the URL."""
    # Keeps parameters out of database errors, and so out of the log.
    if settings.sqlalchemy_url.startswith("sqlite"):
        return {"hide_parameters": True}
    return {
        "pool_size": 8,
        "max_overflow": 4,
        "pool_timeout": 10,
        "hide_parameters": True,
        "connect_args": {"prepare_threshold": None},
    }


def init_app(app: Flask) -> None:
    """Attach the event listeners for the app's kind of database."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _open_sqlite)
            event.listen(db.engine, "before_cursor_execute", _begin_at_the_first_write)
        else:
            event.listen(db.engine, "connect", _prepare_if_direct)
            event.listen(db.engine, "checkin", _note_the_time)
            event.listen(db.engine, "checkout", partial(_ping_after_a_rest, db.engine.dialect))


def is_direct(connection: Any) -> bool:
    """Whether a psycopg connection leads straight to Postgres.

    A pooler gives clients its own cancellation keys, and so another process id than that of the
    server process which runs their queries.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(row[0] == connection.info.backend_pid)


def _open_sqlite(connection: Connection, _record: object) -> None:
    # By default the driver begins deferred transactions, which can deadlock.
    connection.isolation_level = None
    for pragma in SQLITE_PRAGMAS:
        connection.execute(pragma)


def _prepare_if_direct(connection: Any, _record: object) -> None:
    if is_direct(connection):
        connection.prepare_threshold = PREPARE_THRESHOLD
    connection.rollback()


def _note_the_time(_connection: object, record: Any) -> None:
    record.info["used"] = time.monotonic()


def _ping_after_a_rest(dialect: Dialect, connection: Any, record: Any, _proxy: object) -> None:
    """Ping a connection that was idle for `REST`; under load this costs no statement."""
    if time.monotonic() - record.info.get("used", 0.0) < REST:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error  # the pool opens another


def _begin_at_the_first_write(
    _connection: Engine,
    cursor: Cursor,
    statement: str,
    _parameters: object,
    _context: object,
    _many: bool,
) -> None:
    """Begin an SQLite transaction with the write lock, waiting for it if necessary.

    A transaction that begins with a read and then writes fails at once ("database is locked") if
    anyone else wrote in between; one that begins with the lock waits its turn.
    """
    is_write = not statement.lstrip()[:8].upper().startswith(READS)
    if is_write and not cursor.connection.in_transaction:
        cursor.connection.execute("BEGIN IMMEDIATE")
