"""Look-ups: single SELECTs in autocommit, asked of the driver itself.

What every request of a program asks (does this code open anything, whose is this token) takes a
shorter way than the session: no connection to fetch, ping and give back, no transaction to begin
and end, no objects of the ORM. The SQL and the conversion of values stay SQLAlchemy's; they are
only worked out once.

A look-up sees what is committed, and nothing that the session has not committed yet.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from flask import Flask, current_app
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import PoolProxiedConnection
from sqlalchemy.orm import make_transient_to_detached, scoped_session
from sqlalchemy.sql.compiler import SQLCompiler

from portal.extensions import Base, db

Entity = TypeVar("Entity", bound=Base)
Row = Sequence[Any]


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
        self._plans: dict[str, _Plan] = {}

    def rows(
        self, values: Mapping[str, Any], *, within: scoped_session[Any] | None = None
    ) -> Sequence[Row]:
        """All rows there are for these values: as they are committed, or as `within` sees them."""
        if within is not None:
            return list(within.connection().execute(self._statement, values))
        connections: Connections = current_app.extensions["portal.lookups"]
        dialect = connections.engine.dialect
        plan = self._plans.get(dialect.name) or self._made(dialect)
        try:
            return plan.ask(connections.current(), values)
        except dialect.loaded_dbapi.Error:
            # The database may have gone away since, and what is read may be read again. An error
            # that comes again is SQLAlchemy's to name.
            connections.close()
            with connections.engine.connect() as fresh:
                return list(fresh.execute(self._statement, values))

    def first(
        self, values: Mapping[str, Any], *, within: scoped_session[Any] | None = None
    ) -> Row | None:
        """The first of the rows."""
        found = self.rows(values, within=within)
        return found[0] if found else None

    def _made(self, dialect: Dialect) -> "_Plan":
        return self._plans.setdefault(dialect.name, _Plan(self._statement, dialect))


class _Plan:
    """A statement in the words of one dialect, and how its values come and go."""

    def __init__(self, statement: sa.Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - every SELECT compiles to one
        self._sql = str(compiled)
        self._order = compiled.positiontup
        binds = compiled.binds.items()
        self._constants = {name: bind.value for name, bind in binds if not bind.required}
        writers = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds
        }
        self._writers = [(name, write) for name, write in writers.items() if write]
        self._dialect = dialect
        self._types = [column.type.dialect_impl(dialect) for column in statement.selected_columns]
        self._readers: list[tuple[int, Callable[[Any], Any]]] | None = None

    def ask(self, connection: Any, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows, as Python's own types."""
        cursor = connection.execute(self._sql, self._parameters(values))
        if self._readers is None:
            self._readers = self._readers_for(cursor.description)
        rows = [list(row) for row in cursor.fetchall()]
        for row in rows:
            for place, read in self._readers:
                if row[place] is not None:
                    row[place] = read(row[place])
        return rows

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver wants them: by name, or in the order of their marks."""
        given = {**self._constants, **values}
        for name, write in self._writers:
            given[name] = write(given[name])
        return given if self._order is None else [given[name] for name in self._order]

    def _readers_for(self, description: Sequence[Any]) -> list[tuple[int, Callable[[Any], Any]]]:
        """What turns the driver's values into ours, where they differ; it may go by their codes."""
        readers = (
            kind.result_processor(self._dialect, column[1])
            for kind, column in zip(self._types, description, strict=True)
        )
        return [(place, read) for place, read in enumerate(readers) if read]


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
