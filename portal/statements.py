"""Statements asked of the driver itself, for what every request of a program does.

SQLAlchemy builds a context and a result around each statement it executes, which takes several
times as long as the statement. Here the SQL and the conversion of values stay SQLAlchemy's; they
are only worked out once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import StatementError
from sqlalchemy.sql.compiler import SQLCompiler

from portal import connections, database, transactions
from portal.connections import Connections
from portal.extensions import db
from portal.transactions import Short

Row = Sequence[Any]
Change = sa.Insert | sa.Update | sa.Delete | sa.TextualSelect
Executable = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete | sa.TextualSelect


class Statement:
    """One statement with named parameters; its rows are tuples in the order of its columns.

    Changes made `along` with it are one way to Postgres and back, not several. They and it must
    not depend on each other, for none sees what another does.
    """

    def __init__(self, statement: Executable, *, along: Sequence[Change] = ()) -> None:
        self._statement = statement
        self._along = along
        self._plans: dict[str, Sequence[_Plan]] = {}

    def rows(self, values: Mapping[str, Any]) -> Sequence[Row]:
        """Execute it in the transaction that is open; return all its rows, none if it has none.

        That is a short one, or else the session's, of which it does not see what is not flushed.
        Raises what SQLAlchemy would raise.
        """
        short = transactions.current()
        return self._in_session(values) if short is None else self._in_short(short, values)

    def at_once(self, values: Mapping[str, Any]) -> Sequence[Row]:
        """Execute it beside the transaction that is open, committed when this returns.

        A connection that has gone is replaced, and the statement tried once more: it must do no
        harm if it is done twice, or be refused by a unique key. On SQLite the session must not hold
        the write lock. Raises as `rows` does.
        """
        own = connections.of_this_app()
        plans = self._planned(own.dialect)
        if len(plans) > 1:
            with transactions.short():
                return self.rows(values)
        return self._alone(plans[0], own, values)

    def _alone(
        self, plan: "_Plan", own: Connections, values: Mapping[str, Any], *, again: bool = True
    ) -> Sequence[Row]:
        cursor = own.current()
        try:
            return plan.ask(cursor, values)
        except own.dialect.loaded_dbapi.Error as error:
            gone = own.has_gone(error, cursor)
            if gone and again:
                return self._alone(plan, own, values, again=False)
            raise connections.named(error, str(self._statement), own.dialect, gone=gone) from error

    def _in_short(self, short: Short, values: Mapping[str, Any]) -> Sequence[Row]:
        dialect = short.connections.dialect
        try:
            return self.ask(short.cursor, dialect, values)
        except dialect.loaded_dbapi.Error as error:
            raise short.named(error, str(self._statement)) from error

    def _in_session(self, values: Mapping[str, Any]) -> Sequence[Row]:
        connection = db.session.connection()
        dialect, driver = connection.dialect, _driver(connection)
        try:
            if dialect.name == "sqlite" and self._writes:
                database.take_write_lock(driver)
            return self.ask(driver, dialect, values)
        except dialect.loaded_dbapi.Error as error:
            raise _named(error, str(self._statement), connection) from error

    def first(self, values: Mapping[str, Any]) -> Row | None:
        """The first of the rows."""
        found = self.rows(values)
        return found[0] if found else None

    def ask(self, driver: Any, dialect: Dialect, values: Mapping[str, Any]) -> Sequence[Row]:
        """`rows`, of any connection or cursor of the driver; raises what the driver raises."""
        plans = self._planned(dialect)
        for plan in plans[:-1]:
            plan.ask(driver, values)
        return plans[-1].ask(driver, values)

    def _planned(self, dialect: Dialect) -> Sequence["_Plan"]:
        """Postgres takes all in one `WITH`. SQLite knows none that write, and is never far away."""
        planned = self._plans.get(dialect.name)
        if planned is not None:
            return planned
        if dialect.name == "sqlite":
            parts = [*self._along, self._statement]
        else:
            changes = (each.cte(f"along_{number}") for number, each in enumerate(self._along))
            parts = [self._statement.add_cte(*changes)]
        plans = [_Plan(part, dialect) for part in parts]
        return self._plans.setdefault(dialect.name, plans)

    @property
    def _writes(self) -> bool:
        return not isinstance(self._statement, sa.Select)


class _Plan:
    """A statement in the words of one dialect, and how its values come and go."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - only DDL compiles to anything else
        self._sql = str(compiled)
        self._order = compiled.positiontup
        binds = compiled.binds.items()
        self._constants = {name: bind.value for name, bind in binds if not bind.required}
        writers = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds
        }
        self._writers = [(name, write) for name, write in writers.items() if write]
        self._dialect = dialect
        self._types = [column.type.dialect_impl(dialect) for column in statement.exported_columns]
        self._readers: list[tuple[int, Callable[[Any], Any]]] | None = None

    def ask(self, driver: Any, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows, as Python's own types."""
        cursor = driver.execute(self._sql, self._parameters(values))
        if not self._types:
            return []
        if self._readers is None:
            self._readers = self._readers_for(cursor.description)
        found: Sequence[Row] = cursor.fetchall()
        if not self._readers:
            return found
        rows = [list(row) for row in found]
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


def _driver(connection: sa.Connection) -> Any:
    return connection.connection.dbapi_connection


def _named(error: Any, sql: str, connection: sa.Connection) -> StatementError:
    """The driver's error by SQLAlchemy's name. If the database has gone, so has its pool."""
    dialect = connection.dialect
    gone = dialect.is_disconnect(error, _driver(connection), None)
    if gone:
        connection.invalidate(error)
        connection.engine.dispose()
    return connections.named(error, sql, dialect, gone=gone)
