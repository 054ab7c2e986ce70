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

from portal.connections import Connections
from portal.extensions import db
from portal.statements import Statement

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
        self._parts = (*along, statement)
        self._whole = Statement(statement, along=along)

    def make(self, values: Mapping[str, Any]) -> None:
        """Update, and commit. What the session has not committed yet is not part of it."""
        connections: HurriedConnections = current_app.extensions["portal.marks"]
        dialect = connections.engine.dialect
        try:
            self._whole.ask(connections.current(), dialect, values)
        except dialect.loaded_dbapi.Error:
            # As with look-ups: the database may have gone away since.
            connections.close()
            with connections.engine.begin() as fresh:
                for statement in self._parts:
                    fresh.execute(statement, values)
