"""A cursor for Postgres that asks libpq itself, for the statements of `connections`.

They are few, and asked again and again: here each is read and prepared once. psycopg's own cursor
takes apart what it is given each time, weighs whether to prepare it, and waits in Python for the
answer, which takes longer than most of these statements do.
(https://www.psycopg.org/psycopg3/docs/api/pq.html)
"""

import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Self

from psycopg import Connection, OperationalError, errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

NAMED = re.compile(r"%\((\w+)\)s")
ANSWERED = frozenset({ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK})
MOST = 100  # statements that Postgres keeps plans of, for each connection; psycopg's own measure


class PreparedCursor:
    """As much of a cursor as a `Statement` needs; raises psycopg's own errors."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self._libpq = connection.pgconn
        self._adapter = Transformer(connection)
        self._numbered: dict[str, tuple[bytes, list[str]]] = {}
        self._names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._numbers = count(1)
        self._result: PGresult | None = None

    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> Self:
        """Execute a statement of SQLAlchemy's, with its parameters by their names."""
        numbered = self._numbered.get(sql)
        if numbered is None:
            numbered = self._numbered[sql] = _numbered(sql)
        text, order = numbered
        given = [values[name] for name in order] if values else []
        dumped: Any = self._adapter.dump_sequence(given, [PyFormat.AUTO] * len(given))
        name = self._prepared(text, self._adapter.types or ())
        self._result = self._answered(
            self._libpq.exec_prepared(name, dumped, self._adapter.formats)
        )
        return self

    def fetchall(self) -> Sequence[tuple[Any, ...]]:
        """All rows of the last statement."""
        assert self._result is not None  # noqa: S101 - something was executed
        self._adapter.set_pgresult(self._result)
        return self._adapter.load_rows(0, self._result.ntuples, tuple)

    @property
    def description(self) -> Sequence[tuple[None, int]]:
        """The types of the columns, where a cursor of PEP 249 has them."""
        assert self._result is not None  # noqa: S101 - as above
        return [(None, self._result.ftype(column)) for column in range(self._result.nfields)]

    def _prepared(self, text: bytes, types: tuple[int, ...]) -> bytes:
        """The name of the statement for parameters of these types."""
        name = self._names.get((text, types))
        if name is None:
            if len(self._names) == MOST:  # there is no end of page sizes
                self._answered(self._libpq.exec_(b"DEALLOCATE ALL"))
                self._names.clear()
                self._numbered.clear()
            name = f"portal_{next(self._numbers)}".encode()
            self._answered(self._libpq.prepare(name, text, types))
            self._names[text, types] = name
        return name

    def _answered(self, result: PGresult) -> PGresult:
        if result.status in ANSWERED:
            return result
        if self._libpq.status == ConnStatus.BAD:
            raise OperationalError(self._libpq.get_error_message())
        raise errors.error_from_result(result)


def _numbered(sql: str) -> tuple[bytes, list[str]]:
    """A statement as libpq wants it, and the names of its parameters by their numbers."""
    order = list(dict.fromkeys(NAMED.findall(sql)))
    text = NAMED.sub(lambda found: f"${order.index(found[1]) + 1}", sql)
    return text.replace("%%", "%").encode(), order
