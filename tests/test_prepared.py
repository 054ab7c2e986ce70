"""The cursor that asks libpq itself: values, errors and lost connections are psycopg's own."""

import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.errors import UndefinedColumn, UniqueViolation

from portal import prepared
from portal.prepared import PreparedCursor
from tests.conftest import POSTGRES

pytestmark = pytest.mark.skipif(not POSTGRES, reason="TEST_POSTGRES_URL is not set")

ID = UUID("01900000-0000-7000-8000-000000000001")
NAMES = "SELECT name FROM pg_prepared_statements WHERE name LIKE 'portal%'"


@pytest.fixture
def cursor() -> Iterator[PreparedCursor]:
    """Over a connection of its own, with a table nobody else sees."""
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE thing (name text UNIQUE, number int)")
        yield PreparedCursor(connection)


def add(cursor: PreparedCursor, name: str | None, number: int | None = None) -> None:
    """One row."""
    cursor.execute(
        "INSERT INTO thing VALUES (%(name)s, %(number)s)", {"name": name, "number": number}
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uuid", ID),
        ("bytea", b"\x00\xff"),
        ("timestamptz", datetime(2026, 11, 21, 12, 0, 0, 7, UTC)),
        ("float8", 1.5),
        ("bigint", 10**15),
        ("text", "é\N{PILE OF POO}'; --"),
        ("boolean", True),
        ("text", None),
    ],
)
def test_a_value_comes_back_as_it_went(cursor: PreparedCursor, kind: str, value: Any) -> None:
    found = cursor.execute(f"SELECT %(it)s::{kind}", {"it": value}).fetchall()

    ((back,),) = found
    assert back == value
    assert cursor.connection.execute(f"SELECT %s::{kind}", [value]).fetchall() == found


def test_a_parameter_is_found_by_its_name_however_often_it_stands_there(
    cursor: PreparedCursor,
) -> None:
    text = "SELECT %(b)s::text, %(a)s::text, %(b)s::text, 7 %% 4"

    assert cursor.execute(text, {"a": "1", "b": "2", "c": "3"}).fetchall() == [("2", "1", "2", 3)]


def test_a_statement_is_prepared_once_for_each_kind_of_values(cursor: PreparedCursor) -> None:
    for number in (1, 2, 3, None, 4, 10**9, None):
        add(cursor, f"{number}, {uuid4()}", number)

    # For small numbers, for none, and for a long one.
    assert len(cursor.connection.execute(NAMES).fetchall()) == 3
    assert len(cursor.execute("SELECT FROM thing").fetchall()) == 7


def test_postgres_is_not_asked_to_keep_plans_without_end(cursor: PreparedCursor) -> None:
    for number in [*range(3 * prepared.MOST), 0]:
        assert cursor.execute(f"SELECT {number}").fetchall() == [(number,)]

    assert 0 < len(cursor.connection.execute(NAMES).fetchall()) <= prepared.MOST


def test_what_changes_answers_with_no_rows(cursor: PreparedCursor) -> None:
    add(cursor, "one")

    assert cursor.fetchall() == []
    assert cursor.description == []


def test_the_types_of_columns_are_told(cursor: PreparedCursor) -> None:
    cursor.execute("SELECT 1::int, 'a'::text")

    assert [kind for _, kind in cursor.description] == [23, 25]


def test_an_error_is_psycopgs_own_and_the_cursor_goes_on(cursor: PreparedCursor) -> None:
    add(cursor, "one")
    with pytest.raises(UniqueViolation):
        add(cursor, "one")
    with pytest.raises(UndefinedColumn):
        cursor.execute("SELECT nothing FROM thing")

    assert cursor.execute("SELECT name FROM thing").fetchall() == [("one",)]


def test_a_transaction_is_begun_and_undone_by_statements(cursor: PreparedCursor) -> None:
    cursor.execute("BEGIN")
    add(cursor, "one")
    cursor.execute("ROLLBACK")

    assert cursor.execute("SELECT name FROM thing").fetchall() == []


def test_a_connection_that_was_ended_is_an_operational_error(cursor: PreparedCursor) -> None:
    with psycopg.connect(POSTGRES, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(%s)", [cursor.connection.info.backend_pid]
        ).fetchall()

    with pytest.raises(psycopg.OperationalError):
        cursor.execute("SELECT 1")
    assert cursor.connection.closed


def test_other_threads_go_on_while_one_waits_for_the_database(cursor: PreparedCursor) -> None:
    lock, waits = secrets.randbits(31), "SELECT FROM pg_locks WHERE objid = %s AND NOT granted"
    cursor.execute("SET statement_timeout = '20s'")  # were they not to go on, it would never end
    waiting = threading.Thread(target=cursor.execute, args=(f"SELECT pg_advisory_lock({lock})",))
    with psycopg.connect(POSTGRES) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
        waiting.start()
        while waiting.is_alive() and not holder.execute(waits, [lock]).fetchall():
            pass
        assert waiting.is_alive()
    waiting.join()

    assert len(cursor.fetchall()) == 1
