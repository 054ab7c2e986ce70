"""Column types and defaults shared by the tables."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from uuid_utils.compat import uuid7

__all__ = ["UTCDateTime", "WireTime", "new_id", "one_of"]


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


class WireTime(sa.types.TypeDecorator[str]):
    """What a column of `UTCDateTime` keeps, read as RFC 3339 writes it (and `isoformat`).

    For whole pages of times: SQLite's own text is nearly that already.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        """The column as an engine has it."""
        own = sa.Text() if dialect.name == "sqlite" else self.impl_instance
        return dialect.type_descriptor(own)

    def process_result_value(self, value: Any, _dialect: Dialect) -> str | None:
        """The time in UTC, to the microsecond, or to the second if it has none."""
        if isinstance(value, datetime):
            return value.astimezone(UTC).isoformat()
        if value is None:
            return None
        return f"{value[:WITHOUT_ZONE].replace(' ', 'T')}+00:00".replace(".000000", "")
