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

__all__ = ["UTCDateTime", "new_id", "one_of", "wire_id", "wire_time"]


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


class wire_time(FunctionElement[str]):  # noqa: N801 - it is called like `sa.func`'s
    """A column of `UTCDateTime` as RFC 3339 writes it (and `isoformat`), written by the database.

    For whole pages of times, which Python would take longer to make and write than to find.
    """

    type = sa.Text()
    inherit_cache = True


class wire_id(FunctionElement[str]):  # noqa: N801 - as above
    """A column of UUIDs as text with dashes, written by the database."""

    type = sa.Text()
    inherit_cache = True


@compiles(wire_time, "sqlite")
def _wire_time_in_sqlite(element: wire_time, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    moment = f"replace(replace(substr({text}, 1, {WITHOUT_ZONE}), ' ', 'T'), '.000000', '')"
    return f"({moment} || '+00:00')"


@compiles(wire_time, "postgresql")
def _wire_time_in_postgres(element: wire_time, compiler: SQLCompiler, **options: Any) -> str:
    utc = f"{compiler.process(element.clauses, **options)} AT TIME ZONE 'UTC'"
    moment = f"""to_char({utc}, 'YYYY-MM-DD"T"HH24:MI:SS.US')"""
    return f"(replace({moment}, '.000000', '') || '+00:00')"


@compiles(wire_id, "sqlite")
def _wire_id_in_sqlite(element: wire_id, compiler: SQLCompiler, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    groups = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    dash = " || '-' || "
    return f"({dash.join(f'substr({text}, {start}, {size})' for start, size in groups)})"


@compiles(wire_id, "postgresql")
def _wire_id_in_postgres(element: wire_id, compiler: SQLCompiler, **options: Any) -> str:
    return f"{compiler.process(element.clauses, **options)}::text"
