"""Look-ups: single SELECTs in autocommit, asked of the driver itself.

What every request of a program asks (does this code open anything, whose is this token) takes a
shorter way than the session: no connection to fetch, ping and give back, no transaction to begin
and end, no objects of the ORM.

A look-up sees what is committed, and nothing that the session has not committed yet. `at_once` goes
the same way to write.
"""

import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from flask import Flask, current_app
from sqlalchemy.engine.interfaces import PoolProxiedConnection
from sqlalchemy.orm import make_transient_to_detached

from portal.extensions import Base, db
from portal.statements import Row, Statement

Entity = TypeVar("Entity", bound=Base)


def init_app(app: Flask) -> None:
    """Let each thread keep a connection for look-ups, as long as the engine is not disposed of."""
    with app.app_context():
        connections = app.extensions["portal.lookups"] = Connections(db.engine)
    sa.event.listen(connections.engine, "engine_disposed", lambda _: connections.close())


class Connections:
    """One connection a thread, in autocommit."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._own = threading.local()
        self._all: list[PoolProxiedConnection] = []

    def current(self) -> Any:
        """The driver's connection of this thread."""
        try:
            return self._own.connection
        except AttributeError:
            return self._open()

    def close(self) -> None:
        """Close them all. Threads that live on get new ones."""
        self._own = threading.local()
        while self._all:
            self._all.pop().close()

    def _open(self) -> Any:
        proxied = self.engine.raw_connection()
        connection = proxied.dbapi_connection
        assert connection is not None  # noqa: S101 - it was given out this moment
        proxied.detach()
        self._all.append(proxied)
        self.engine.dialect.set_isolation_level(connection, "AUTOCOMMIT")
        self._own.connection = connection
        return connection


class LookUp:
    """One SELECT with named parameters; its rows are tuples in the order of its columns."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self._statement = statement
        self.in_transaction = Statement(statement)  # as the session sees it

    def rows(self, values: Mapping[str, Any]) -> Sequence[Row]:
        """All rows there are for these values, as they are committed."""
        connections: Connections = current_app.extensions["portal.lookups"]
        dialect = connections.engine.dialect
        try:
            return self.in_transaction.ask(connections.current(), dialect, values)
        except dialect.loaded_dbapi.Error:
            # The database may have gone away since, and what is read may be read again. An error
            # that comes again is SQLAlchemy's to name.
            connections.close()
            with connections.engine.connect() as fresh:
                return list(fresh.execute(self._statement, values))

    def first(self, values: Mapping[str, Any]) -> Row | None:
        """The first of the rows."""
        found = self.rows(values)
        return found[0] if found else None


def at_once(statement: Statement, values: Mapping[str, Any]) -> Sequence[Row]:
    """Execute a statement beside the session's transaction, committed when this returns.

    On SQLite the session must not hold the write lock.
    """
    connections: Connections = current_app.extensions["portal.lookups"]
    dialect = connections.engine.dialect
    try:
        return statement.ask(connections.current(), dialect, values)
    except dialect.loaded_dbapi.Error:
        connections.close()  # as with look-ups
        rows = statement.rows(values)
        db.session.commit()
        return rows


def entity_of_row(kind: type[Entity], row: Row) -> Entity:
    """`entity`, by all columns of its table in their order.

    As nothing is missing, nothing has to be looked for that is: a third of the time.
    """
    mapper = sa.inspect(kind)
    found = cast(Entity, mapper.class_manager.new_instance())
    values = found.__dict__
    values.update(zip(_columns(kind), row, strict=True))
    primary_key = tuple(values[str(column.key)] for column in mapper.primary_key)
    sa.inspect(found).key = mapper.identity_key_from_primary_key(primary_key)
    return found


@cache
def _columns(kind: type[Base]) -> tuple[str, ...]:
    return tuple(kind.__table__.c.keys())


def entity(kind: type[Entity], values: Mapping[str, Any]) -> Entity:
    """An object of the ORM as these columns of its row have it, which belongs to no session.

    It is there to be asked; to be changed, it has to be added to a session.
    """
    found = kind()
    found.__dict__.update(values)
    make_transient_to_detached(found)
    return found


def adopted(found: Entity) -> Entity:
    """What was looked up as one of the session's own objects: a change to it will be written."""
    identity = sa.inspect(found).key
    if identity and identity in db.session.identity_map:
        return db.session.merge(found, load=False)
    db.session.add(found)
    return found
