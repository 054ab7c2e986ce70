"""Hot statements: the few queries that clients cause thousands of times a second.

SQLAlchemy compiles each once; the driver's own cursor runs it, on a transaction that the
caller passes. Executing it through SQLAlchemy would take longer than the database does.

    with hot.transaction() as tx:
        if tx.first(TAKE_A_USE, {"taken": id, "moment": now}) is None: ...

All pages use the session. Where both need the same statement, they pass a `Transaction`: the one
of `hot.transaction()` here, `hot.SESSION` there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.sql.compiler import SQLCompiler

from portal.db import session
from portal.extensions import Base, db

Values = Mapping[str, Any]
Row = Sequence[Any]
Change = sa.Insert | sa.Update | sa.Delete | sa.TextualSelect
Executable = sa.Select[Any] | Change
Entity = TypeVar("Entity", bound=Base)


class TransactionsMixed(RuntimeError):
    """The session and a hot transaction were used at the same time.

    Neither would see what the other wrote, and on SQLite each would wait for the other's lock.
    """


class Statement:
    """A SQLAlchemy Core statement with named parameters.

    Changes passed as `along` reach Postgres in the same round trip, as one `WITH`. They share
    one snapshot with the statement, and cannot see each other's changes.
    """

    def __init__(self, core: Executable, *, along: Sequence[Change] = ()) -> None:
        self.parts: Sequence[Executable] = (*along, core)
        self._compiled: dict[str, Sequence[_Compiled]] = {}
        self._parameters: dict[str, Sequence[tuple[Executable, frozenset[str]]]] = {}

    @property
    def writes(self) -> bool:
        """Whether it changes data."""
        return not all(isinstance(part, sa.Select) for part in self.parts)

    def __str__(self) -> str:
        return "; ".join(map(str, self.parts))

    def compiled(self, dialect: Dialect) -> Sequence["_Compiled"]:
        """One compiled query on Postgres, one for each part on SQLite."""
        known = self._compiled.get(dialect.name)
        if known is None:
            parts = self.parts if dialect.name == "sqlite" else [self._combined()]
            known = [_Compiled(part, dialect) for part in parts]
            self._compiled[dialect.name] = known
        return known

    def parameters(self, dialect: Dialect) -> Sequence[tuple[Executable, frozenset[str]]]:
        """Each part, with the names of its parameters."""
        known = self._parameters.get(dialect.name)
        if known is None:
            known = [(part, frozenset(part.compile(dialect=dialect).binds)) for part in self.parts]
            self._parameters[dialect.name] = known
        return known

    def _combined(self) -> Executable:
        *along, core = self.parts
        return core.add_cte(*(change.cte(f"along_{n}") for n, change in enumerate(along)))


class Transaction(ABC):
    """A transaction in which statements run; the code that began it commits it."""

    @abstractmethod
    def rows(self, statement: Statement, values: Values) -> Sequence[Row]:
        """Execute, and return all rows: tuples in the order of the statement's columns.

        Raises the same errors as SQLAlchemy, without parameter values.
        """

    @abstractmethod
    def on_commit(self, call: Callable[[], object]) -> None:
        """Call this after the commit, and never after a rollback."""

    @abstractmethod
    def commit(self) -> None:
        """Commit now; later errors undo nothing."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo everything since the transaction began."""

    def first(self, statement: Statement, values: Values) -> Row | None:
        """The first of the rows, or None."""
        found = self.rows(statement, values)
        return found[0] if found else None


@contextmanager
def transaction(*, durable: bool = True) -> Iterator[Transaction]:
    """A transaction on a pooled connection: committed at the end, rolled back on an error.

    On SQLite its first statement takes the write lock. With `durable=False` it commits
    asynchronously: it does not wait for the disk, and a power cut or a crash of Postgres may undo
    it. https://www.postgresql.org/docs/current/wal-async-commit.html

    Raises `TransactionsMixed` if the session has begun a transaction; using the session inside
    raises it too.
    """
    if db.session.registry.has() and db.session().in_transaction():
        raise TransactionsMixed("The session has begun a transaction; commit it first.")
    with _begun(durable=durable) as tx:
        yield tx


def rows(statement: Statement, values: Values) -> Sequence[Row]:
    """Execute one statement in a transaction of its own, committed when this returns.

    It does not see uncommitted changes of the session. Raises as `Transaction.rows` does, and
    `TransactionsMixed` inside a hot transaction and, on SQLite, for changes while the session has
    uncommitted ones.
    """
    if _is_open.get():
        raise TransactionsMixed("A hot transaction is open; pass it on.")
    if db.engine.dialect.name == "sqlite" and statement.writes:
        _require_lock_free()
        with _begun(durable=True) as tx:
            return tx.rows(statement, values)
    with _connection() as pooled, _autocommit(pooled):
        return _Hot(pooled, db.engine.dialect, begins=False).rows(statement, values)


def first(statement: Statement, values: Values) -> Row | None:
    """The first of the `rows`, or None."""
    found = rows(statement, values)
    return found[0] if found else None


def entity(kind: type[Entity], values: Values) -> Entity:
    """A row as an ORM object that belongs to no session.

    Reading an attribute that is not in `values` raises `DetachedInstanceError`.
    """
    found = kind(**values)
    make_transient_to_detached(found)
    return found


_is_open: ContextVar[bool] = ContextVar("hot transaction is open", default=False)


@sa.event.listens_for(db.session, "after_begin")
def _refuse_the_session(*_: object) -> None:
    if _is_open.get():
        raise TransactionsMixed("A hot transaction is open; pass it on.")


@contextmanager
def _begun(*, durable: bool) -> Iterator[Transaction]:
    with _connection() as pooled:
        tx, token = _Hot(pooled, db.engine.dialect), _is_open.set(True)
        try:
            if not durable:
                tx.commit_asynchronously()
            yield tx
            tx.commit()
        except BaseException:
            tx.rollback()
            raise
        finally:
            _is_open.reset(token)
            tx.close()


def _require_lock_free() -> None:
    """Raise if this thread's session holds SQLite's only write lock: waiting would never end."""
    if db.session.registry.has() and db.session().in_transaction():
        driver: Any = db.session.connection().connection.dbapi_connection
        if driver.in_transaction:
            raise TransactionsMixed("The session has changes; commit them first.")


@contextmanager
def _connection() -> Iterator[PoolProxiedConnection]:
    with db.engine.connect() as connection:  # unlike raw_connection, it translates errors
        yield connection.connection


@contextmanager
def _autocommit(pooled: PoolProxiedConnection) -> Iterator[None]:
    """Save a single statement the round trips of BEGIN and COMMIT on Postgres."""
    driver: Any = pooled.dbapi_connection
    if db.engine.dialect.name == "sqlite":
        yield
        return
    driver.autocommit = True
    try:
        yield
    finally:
        if not driver.closed:
            driver.autocommit = False


class _Hot(Transaction):
    """A driver connection: in a transaction, or (`begins=False`) in autocommit."""

    def __init__(
        self, pooled: PoolProxiedConnection, dialect: Dialect, *, begins: bool = True
    ) -> None:
        self._pooled = pooled
        self._driver: Any = pooled.dbapi_connection
        self._dialect = dialect
        self._is_sqlite = dialect.name == "sqlite"
        self._begins = begins and self._is_sqlite  # psycopg begins by itself
        self._is_hurried = False
        self._calls: list[Callable[[], object]] = []

    def commit_asynchronously(self) -> None:
        """Make the commit asynchronous: it does not wait for the disk."""
        self._is_hurried = self._is_sqlite
        self._execute(
            "PRAGMA synchronous = NORMAL"
            if self._is_sqlite
            else "SET LOCAL synchronous_commit = off"
        )

    def close(self) -> None:
        """Restore SQLite's `synchronous`; Postgres resets SET LOCAL by itself."""
        if self._is_hurried:
            self._execute("PRAGMA synchronous = FULL")

    def rows(self, statement: Statement, values: Values) -> Sequence[Row]:
        found: Sequence[Row] = self._translated(lambda: self._run(statement, values), statement)
        return found

    def on_commit(self, call: Callable[[], object]) -> None:
        self._calls.append(call)

    def commit(self) -> None:
        self._translated(self._driver.commit, "COMMIT")
        calls, self._calls = self._calls, []
        for call in calls:
            call()

    def rollback(self) -> None:
        self._calls.clear()
        if self._pooled.is_valid:
            self._translated(self._driver.rollback, "ROLLBACK")

    def _execute(self, sql: str) -> None:
        self._translated(lambda: self._driver.execute(sql), sql)

    def _run(self, statement: Statement, values: Values) -> Sequence[Row]:
        if self._begins and not self._driver.in_transaction:
            self._driver.execute("BEGIN IMMEDIATE")
        found: Sequence[Row] = []
        for compiled in statement.compiled(self._dialect):
            found = compiled.run(self._driver, values)
        return found

    def _translated(self, call: Callable[[], Any], sql: object) -> Any:
        """Raise driver errors as SQLAlchemy errors; a lost connection leaves the pool."""
        driver_error = self._dialect.loaded_dbapi.Error
        try:
            return call()
        except driver_error as error:
            is_lost = self._dialect.is_disconnect(error, self._driver, None)
            if is_lost:
                self._pooled.invalidate(error)
                db.engine.dispose()  # the others were lost with it
            raise DBAPIError.instance(
                str(sql),
                None,
                error,
                driver_error,
                hide_parameters=True,
                connection_invalidated=is_lost,
                dialect=self._dialect,
            ) from error


class _InSession(Transaction):
    """The session's transaction, in which the session itself executes the statements."""

    def rows(self, statement: Statement, values: Values) -> Sequence[Row]:
        db.session.flush()
        connection = db.session.connection()
        for part, names in statement.parameters(connection.dialect):
            result = connection.execute(part, {n: v for n, v in values.items() if n in names})
        return result.all() if result.returns_rows else []

    def on_commit(self, call: Callable[[], object]) -> None:
        session.on_commit(call)

    def commit(self) -> None:
        db.session.commit()

    def rollback(self) -> None:
        db.session.rollback()


class _Compiled:
    """A statement compiled for one engine, with the converters of its values."""

    def __init__(self, core: Executable, dialect: Dialect) -> None:
        compiled = core.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - only DDL compiles to anything else
        self._sql = str(compiled)
        self._order = compiled.positiontup
        self._constants = {n: b.value for n, b in compiled.binds.items() if not b.required}
        writers = (
            (name, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bind in compiled.binds.items()
        )
        self._writers = [(name, write) for name, write in writers if write]
        self._types = [column.type.dialect_impl(dialect) for column in core.exported_columns]
        self._dialect = dialect
        self._readers: list[tuple[int, Callable[[Any], Any]]] | None = None

    def run(self, driver: Any, values: Values) -> Sequence[Row]:
        """Execute, and return the rows converted to Python types."""
        given = {**self._constants, **values}
        for name, write in self._writers:
            given[name] = write(given[name])
        by_place = self._order and [given[name] for name in self._order]
        cursor = driver.execute(self._sql, given if by_place is None else by_place)
        if not self._types:
            return []
        if self._readers is None:
            self._readers = self._readers_for(cursor.description)
        found: Sequence[Row] = cursor.fetchall()
        return [self._read(row) for row in found] if self._readers else found

    def _read(self, row: Row) -> Row:
        values = list(row)
        for place, read in self._readers or ():
            if values[place] is not None:
                values[place] = read(values[place])
        return values

    def _readers_for(self, description: Sequence[Any]) -> list[tuple[int, Callable[[Any], Any]]]:
        """Converters for the columns whose driver values differ from ours."""
        readers = (
            kind.result_processor(self._dialect, column[1])
            for kind, column in zip(self._types, description, strict=True)
        )
        return [(place, read) for place, read in enumerate(readers) if read]


SESSION: Transaction = _InSession()
