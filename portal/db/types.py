"""Column types and defaults shared by the tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from struct import Struct
from typing import Any
from uuid import UUID

import orjson
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
    "raw_ids",
    "some_of",
    "wire_ids",
    "wire_times",
]


WITHOUT_ZONE = len("2026-11-21 12:00:00.000000")


def new_id() -> UUID:
    """A version 7 UUID (RFC 9562): unique, and sortable by creation time."""
    return uuid7()


def one_of(kind: type[StrEnum]) -> sa.Enum:
    """An enum column stored as text, with a CHECK constraint that lists its values."""
    return sa.Enum(
        kind,
        native_enum=False,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


class some_of(sa.types.TypeDecorator[frozenset[StrEnum]]):  # noqa: N801 - beside `one_of`
    """A column holding a set of enum values, stored as space-separated text.

    The values are stored in the order of `kind`, so that equal sets are equal texts.
    """

    impl = sa.String(16)
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: frozenset[StrEnum] | None, _dialect: Dialect) -> str | None:
        """The set as text."""
        return None if value is None else " ".join(word for word in self.kind if word in value)

    def process_result_value(
        self, value: str | None, _dialect: Dialect
    ) -> frozenset[StrEnum] | None:
        """The text as a set."""
        return None if value is None else frozenset(map(self.kind, value.split()))


class _TextInUTC(sqlite.DATETIME):
    """SQLite stores times as text without a zone; the zone is appended before the text is parsed.

    Adding it to a parsed time takes ten times as long, and so does formatting with anything in the
    standard library.
    """

    def bind_processor(self, _dialect: Dialect) -> Any:
        """The function that formats times."""
        return _write_in_utc

    def result_processor(self, _dialect: Dialect, _coltype: object) -> Any:
        """The function that parses times."""
        return _read_in_utc


def _write_in_utc(value: datetime | None) -> str | None:
    if value is None:
        return None
    written = orjson.dumps(value).decode()  # "2026-11-21T12:00:00.123456+00:00", quotes included
    fraction = written[20:27] if value.microsecond else ".000000"
    return f"{written[1:11]} {written[12:20]}{fraction}"


def _read_in_utc(text: str | None) -> datetime | None:
    # Former versions appended the zone to the times of batches.
    return None if text is None else datetime.fromisoformat(f"{text[:WITHOUT_ZONE]}+00:00")


class UTCDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time, on databases with time zones and (SQLite) without."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The column type of each engine."""
        own = _TextInUTC() if dialect.name == "sqlite" else self.impl_instance  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert to UTC; raises `ValueError` for naive times."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its zone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert to UTC: Postgres returns times in the connection's time zone."""
        if value is None or value.tzinfo is UTC:
            return value
        return value.astimezone(UTC)


class plain_time(FunctionElement[str]):  # noqa: N801 - named like the functions of `sa.func`
    """A `UTCDateTime` column as text (`2026-11-21 12:00:00.000000`), for `wire_times`.

    For whole pages of times, where building datetimes would take longer than the query.
    """

    type = sa.Text()
    inherit_cache = True


class plain_id(FunctionElement[str]):  # noqa: N801 - as above
    """A UUID column as 32 hexadecimal digits, for `wire_ids`."""

    type = sa.Text()
    inherit_cache = True


def wire_times(texts: Sequence[str]) -> list[str]:
    """Convert the `plain_time`s of a page to RFC 3339, as `isoformat` does."""
    # Former versions appended the zone to the times of batches.
    zoneless = "\n".join(texts).replace("+00:00", "").replace(".000000", "").replace(" ", "T")
    return (zoneless.replace("\n", "+00:00\n") + "+00:00").split("\n") if texts else []


def wire_ids(texts: Sequence[str]) -> list[str]:
    """Add the dashes to the `plain_id`s of a page."""
    return [b"-".join(parts).decode() for parts in _ID.iter_unpack("".join(texts).encode())]


def raw_ids(texts: Sequence[str]) -> list[bytes]:
    """The 16 bytes of each `plain_id` of a page."""
    return [raw for (raw,) in _RAW.iter_unpack(bytes.fromhex("".join(texts)))]


_ID, _RAW = Struct("8s 4s 4s 4s 12s"), Struct("16s")


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
