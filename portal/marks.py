"""Marks: single UPDATEs, each committed at once, that nobody waits for the disk to have.

A process that is killed loses none that it has told the database. A database whose machine loses
its power, or a Postgres that crashes, may lose the last ones: those of the last moments, and on
SQLite those since the last other transaction. So a mark is only for what may be done once more.
To wait for the disk takes longer than to send a mail.

(https://www.postgresql.org/docs/current/wal-async-commit.html,
https://www.sqlite.org/pragma.html#pragma_synchronous)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from flask import Flask, current_app
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from portal.extensions import db
from portal.lookups import Connections

IN_A_HURRY = {
    "sqlite": "PRAGMA synchronous = NORMAL",
    "postgresql": "SET synchronous_commit = off",
}


def init_app(app: Flask) -> None:
    """Let each thread that makes marks keep a connection for them."""
    with app.app_context():
        connections = app.extensions["portal.marks"] = HurriedConnections(db.engine)
    sa.event.listen(connections.engine, "engine_disposed", lambda _: connections.close())


class HurriedConnections(Connections):
    """Those that do not wait for the disk."""

    def _open(self) -> Any:
        connection = super()._open()
        connection.execute(IN_A_HURRY[self.engine.dialect.name])
        return connection


class Mark:
    """One UPDATE with named parameters, which does no harm when it is made twice.

    What it makes true elsewhere goes `along` with it: before it on SQLite, where each is committed
    by itself, and as one statement, in one way there and back, on Postgres.
    """

    def __init__(self, statement: sa.Update, *, along: Sequence[sa.Update] = ()) -> None:
        self._statement = statement
        self._along = along
        self._plans: dict[str, Sequence[_Plan]] = {}

    def make(self, values: Mapping[str, Any]) -> None:
        """Update, and commit. What the session has not committed yet is not part of it."""
        connections: HurriedConnections = current_app.extensions["portal.marks"]
        dialect = connections.engine.dialect
        plans = self._plans.get(dialect.name) or self._planned(dialect)
        try:
            for plan in plans:
                connections.current().execute(plan.sql, plan.parameters(values))
        except dialect.loaded_dbapi.Error:
            # As with look-ups: the database may have gone away since.
            connections.close()
            with connections.engine.begin() as fresh:
                for statement in (*self._along, self._statement):
                    fresh.execute(statement, values)

    def _planned(self, dialect: Dialect) -> Sequence["_Plan"]:
        parts = [*self._along, self._statement]
        if dialect.name == "postgresql":
            changes = (each.cte(f"along_{number}") for number, each in enumerate(self._along))
            parts = [self._statement.add_cte(*changes)]
        return self._plans.setdefault(dialect.name, [_Plan(part, dialect) for part in parts])


class _Plan:
    """An UPDATE in the words of one dialect, and how its values go there."""

    def __init__(self, statement: sa.Update, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - every UPDATE compiles to one
        self.sql = str(compiled)
        self._order = compiled.positiontup
        binds = compiled.binds.items()
        self._constants = {name: bind.value for name, bind in binds if not bind.required}
        writers = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds
        }
        self._writers = [(name, write) for name, write in writers.items() if write]

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """The values as the driver wants them: by name, or in the order of their marks."""
        given = {**self._constants, **values}
        for name, write in self._writers:
            given[name] = write(given[name])
        return given if self._order is None else [given[name] for name in self._order]
