"""Connections that threads keep for themselves, in autocommit.

A shorter way to the database than the session's: no connection to fetch, ping and give back, no
transaction begun and ended around each use, no objects of the ORM.
"""

import threading
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError, StatementError

from portal import current
from portal.extensions import db


def init_app(app: Flask) -> None:
    """Let each thread keep a connection, as long as the engine is not disposed of."""
    with app.app_context():
        connections = app.extensions["portal.connections"] = Connections(db.engine)
    sa.event.listen(connections.engine, "engine_disposed", lambda _: connections.close())


def of_this_app() -> "Connections":
    """Those of the app at work."""
    found: Connections = current.app().extensions["portal.connections"]
    return found


class Connections:
    """One connection a thread, in autocommit."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.dialect = engine.dialect
        self._own = threading.local()
        self._all: list[sa.Connection] = []

    def current(self) -> Any:
        """A cursor of this thread's connection: always the same, for it keeps what it prepared.

        All is fetched before the next statement.
        """
        try:
            return self._own.cursor
        except AttributeError:
            self._own.cursor = _cursor(self._open(), self.dialect.name)
            return self._own.cursor

    def has_gone(self, error: Any, cursor: Any) -> bool:
        """Whether this error of the driver says that the database went away.

        If so, this thread gets another; the others find out for themselves.
        """
        gone = self.dialect.is_disconnect(error, cursor.connection, None)
        if gone:
            cursor.connection.close()
            self._own.__dict__.pop("cursor", None)
        return gone

    def close(self) -> None:
        """Close them all. Threads that live on get new ones."""
        self._own = threading.local()
        while self._all:
            self._all.pop().close()

    def _open(self) -> Any:
        opened = self.engine.connect()
        opened.detach()
        self._all.append(opened)
        driver = opened.connection.dbapi_connection
        assert driver is not None  # noqa: S101 - it was opened this moment
        self.dialect.set_isolation_level(driver, "AUTOCOMMIT")
        return driver


def _cursor(driver: Any, dialect: str) -> Any:
    if dialect == "sqlite":
        return driver.cursor()

    from portal.prepared import PreparedCursor  # noqa: PLC0415 - SQLite needs no psycopg

    return PreparedCursor(driver)


def named(error: Any, sql: str, dialect: sa.Dialect, *, gone: bool) -> StatementError:
    """The driver's error by SQLAlchemy's name, without the values that were asked with."""
    found: StatementError = DBAPIError.instance(
        sql,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=gone,
        dialect=dialect,
    )
    return found
