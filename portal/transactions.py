"""Transactions: the session's, and short ones on a thread's own connection.

A verb that asks nothing but `Statement`s may do so in a short transaction, which takes a fraction
of what it takes the session to begin and end one. `commit`, `rollback` and `on_commit` are about
whichever is open.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from flask import Flask

from portal import connections
from portal.connections import Connections
from portal.extensions import db

ON_COMMIT = "portal.on_commit"
BEGIN = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN"}


class Short:
    """A short transaction, which is over when it was committed or rolled back."""

    def __init__(self, own: Connections) -> None:
        self.connections = own
        self.cursor = _begun(own)
        self.on_commit: list[Callable[[], object]] = []
        self.is_over = False

    def end(self, how: str) -> None:
        """COMMIT or ROLLBACK, unless it is over."""
        if self.is_over:
            return
        self.is_over = True
        try:
            self.cursor.execute(how)
        except self.connections.dialect.loaded_dbapi.Error as error:
            raise self.named(error, how) from error

    def named(self, error: Any, sql: str) -> Exception:
        """An error of the driver by SQLAlchemy's name."""
        gone = self.connections.has_gone(error, self.cursor)
        self.is_over = self.is_over or gone
        return connections.named(error, sql, self.connections.dialect, gone=gone)


class _Open(threading.local):
    short: Short | None = None


_open = _Open()


def init_app(_app: Flask) -> None:
    """Call what waits for a commit of the session."""
    sa.event.listen(db.session, "after_commit", _call)
    sa.event.listen(db.session, "after_rollback", _forget)


@contextmanager
def short() -> Iterator[None]:
    """A short transaction: committed at the end, unless it is over by then or an error leaves it.

    Within it nothing may be asked of the session. On SQLite it begins with the write lock.
    """
    transaction = _open.short = Short(connections.of_this_app())
    try:
        yield
        commit()
    except BaseException:
        transaction.end("ROLLBACK")
        raise
    finally:
        _open.short = None


def current() -> Short | None:
    """The short transaction of this thread, if one is open."""
    return _open.short


def commit() -> None:
    """Commit what is open."""
    transaction = _open.short
    if transaction is None:
        db.session.commit()
    elif not transaction.is_over:
        transaction.end("COMMIT")
        for call in transaction.on_commit:
            call()


def rollback() -> None:
    """Undo what is open."""
    if _open.short is None:
        db.session.rollback()
    else:
        _open.short.end("ROLLBACK")


def on_commit(call: Callable[[], object]) -> None:
    """Call this when what is open has been committed, and never if it is undone."""
    if _open.short is None:
        db.session.info.setdefault(ON_COMMIT, []).append(call)
    else:
        _open.short.on_commit.append(call)


def _begun(own: Connections, *, again: bool = True) -> Any:
    """The cursor of this thread, with a transaction begun; a lost connection is replaced."""
    begin, cursor = BEGIN[own.dialect.name], own.current()
    try:
        cursor.execute(begin)
    except own.dialect.loaded_dbapi.Error as error:
        gone = own.has_gone(error, cursor)
        if gone and again:
            return _begun(own, again=False)
        raise connections.named(error, begin, own.dialect, gone=gone) from error
    return cursor


def _call(session: Any) -> None:
    if session.in_nested_transaction():  # a savepoint: what is around it may still be undone
        return
    for call in session.info.pop(ON_COMMIT, []):
        call()


def _forget(session: Any) -> None:
    session.info.pop(ON_COMMIT, None)
