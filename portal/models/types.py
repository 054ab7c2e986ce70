"""Column types and defaults shared by the tables."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from uuid_utils.compat import uuid7

__all__ = [
    "UTCDateTime",
    "new_id",
    "one_of",
    "plain_id",
    "plain_time",
    "wire_id",
    "wire_time",
]


WITHOUT_ZONE = len("2026-11-21 12:00:00.000000")


def new_id() -> UUID:
    """A version 7 UUID (RFC 9562): unique, and sorted by the time of its making."""
    return uuid7()


def one_of(kind: type[StrEnum]) -> sa.Enum:
    """A column of one of these words, stored as text; the table's own constraint lists them."""
    return sa.Enum(
        kind,
        native_enum=False,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


class _TextInUTC(sqlite.DATETIME):
    """SQLite keeps times as text, without the zone: it is put back before the text is read.

    To give it to a time that was read takes ten times as long.
    """

    def result_processor(self, _dialect: Dialect, _coltype: object) -> Any:
        """What reads the text."""
        return _read_in_utc


def _read_in_utc(text: str | None) -> datetime | None:
    # Former versions wrote the zone behind the times of batches.
    return None if text is None else datetime.fromisoformat(f"{text[:WITHOUT_ZONE]}+00:00")


class UTCDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time, on databases with time zones and (SQLite) without."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The column as an engine has it."""
        own = _TextInUTC() if dialect.name == "sqlite" else self.impl_instance  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody knows which zone they meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Postgres answers in the zone of the connection."""
        return None if value is None else value.astimezone(UTC)


class plain_time(FunctionElement[str]):  # noqa: N801 - it is called like `sa.func`'s
    """A column of `UTCDateTime` as text (`2026-11-21 12:00:00.000000`), for `wire_time`.

    For whole pages of times, which Python would take longer to make than the database to find.
    """

    type = sa.Text()
    inherit_cache = True


class plain_id(FunctionElement[str]):  # noqa: N801 - as above
    """A column of UUIDs as 32 hexadecimal digits, for `wire_id`."""

    type = sa.Text()
    inherit_cache = True


def wire_time(text: str) -> str:
    """A `plain_time` as RFC 3339 writes it, and `isoformat`."""
    return text[:WITHOUT_ZONE].removesuffix(".000000").replace(" ", "T") + "+00:00"


def wire_id(text: str) -> str:
    """A `plain_id` with its dashes."""
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@compiles(plain_time, "sqlite")
@compiles(plain_id, "sqlite")
def _as_sqlite_keeps_it(
    element: plain_time | plain_id, compiler: SQLCompiler, **options: Any
) -> str:
    return compiler.process(element.clauses, **options)


@compiles(plain_time, "postgresql")
def _plain_time_in_postgres(element: plain_time, compiler: SQLCompiler, **options: Any) -> str:
    utc = f"{compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC'"
    return f"to_char({utc}, 'YYYY-MM-DD HH24:MI:SS.US')"


@compiles(plain_id, "postgresql")
def _plain_id_in_postgres(element: plain_id, compiler: SQLCompiler, **options: Any) -> str:
    return f"replace({compiler.process(element.clauses, **options)}::text, '-', '')"
