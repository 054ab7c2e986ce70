"""Column types: what is written beside SQLAlchemy's own way is what that would write."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from portal.db.types import UTCDateTime, raw_ids, wire_ids, wire_times

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=7)), timezone(timedelta(hours=-3.5))])
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES)  # noqa: DTZ001
DIALECT = sqlite.dialect()
TYPE = UTCDateTime().dialect_impl(DIALECT)


def written(moment: datetime) -> str:
    """As the portal binds it on SQLite."""
    write = TYPE.bind_processor(DIALECT)
    assert write
    return str(write(moment))


@given(MOMENTS)
def test_sqlite_is_given_times_as_sqlalchemy_writes_them(moment: datetime) -> None:
    write = sa.DateTime().dialect_impl(DIALECT).bind_processor(DIALECT)
    assert write

    assert written(moment) == write(moment.astimezone(UTC))


@given(MOMENTS)
def test_sqlite_gives_back_the_moment_in_utc(moment: datetime) -> None:
    read = TYPE.result_processor(DIALECT, None)
    assert read

    for text in (written(moment), f"{written(moment)}+00:00"):
        assert read(text) == moment
        assert read(text).tzinfo is UTC


@given(st.lists(MOMENTS, max_size=5))
def test_a_page_of_times_is_written_as_python_writes_them(moments: list[datetime]) -> None:
    texts = [written(moment) for moment in moments]
    former = [f"{text}+00:00" for text in texts]

    told = [moment.astimezone(UTC).isoformat() for moment in moments]

    assert wire_times(texts) == wire_times(former) == told


@given(st.lists(st.uuids(), max_size=5))
def test_a_page_of_ids_is_written_as_python_writes_them(ids: list[UUID]) -> None:
    texts = [one.hex for one in ids]

    assert wire_ids(texts) == [str(one) for one in ids]
    assert raw_ids(texts) == [one.bytes for one in ids]
