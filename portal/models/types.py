"""Column types and defaults shared by the tables."""

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from uuid_utils.compat import uuid7

__all__ = ["UTCDateTime", "new_id", "one_of"]


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


class UTCDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time, on databases with time zones and (SQLite) without."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody knows which zone they meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """SQLite gives back what it was given, without the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
