"""Short transactions: all or nothing, beside the session, and what waits for their commit."""

from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa
from flask import current_app
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal import transactions
from portal.extensions import db
from portal.models import AttemptCounter
from portal.statements import Statement

pytestmark = pytest.mark.usefixtures("context")

ADD = Statement(sa.insert(AttemptCounter))
KEYS = Statement(sa.select(AttemptCounter.key).order_by(AttemptCounter.key))


class Trouble(Exception):
    """Something that went wrong."""


def add(key: str) -> None:
    """Add a counter."""
    ADD.rows({"key": key, "hits": 1, "expires_at": 2.0})


def keys() -> list[str]:
    """The counters there are, as everybody sees them."""
    return [key for (key,) in KEYS.at_once({})]


def fail() -> None:
    """Go wrong."""
    raise Trouble


def in_short(*steps: Callable[[], object]) -> None:
    """Do all this in one short transaction."""
    with transactions.short():
        for step in steps:
            step()


@pytest.fixture
def heard() -> list[str]:
    """What was called on commit."""
    return []


def test_what_is_done_in_a_short_transaction_is_there_when_it_ends(heard: list[str]) -> None:
    with transactions.short():
        add("one")
        add("two")
        transactions.on_commit(partial(heard.append, "two"))
        assert heard == []

    assert (keys(), heard) == (["one", "two"], ["two"])


def test_an_error_leaves_nothing_behind(heard: list[str]) -> None:
    hear = partial(transactions.on_commit, partial(heard.append, "one"))
    with pytest.raises(Trouble):
        in_short(partial(add, "one"), hear, fail)

    assert (keys(), heard) == ([], [])
    add("session")
    assert transactions.current() is None
    db.session.rollback()


def test_an_error_of_the_database_has_sqlalchemys_name_and_leaves_nothing_behind() -> None:
    with pytest.raises(IntegrityError) as raised:
        in_short(partial(add, "one"), partial(add, "one"))

    assert "hits" in str(raised.value)
    assert "2.0" not in str(raised.value)
    assert keys() == []


def test_what_was_committed_before_an_error_stays(heard: list[str]) -> None:
    hear = partial(transactions.on_commit, partial(heard.append, "one"))
    with pytest.raises(Trouble):
        in_short(partial(add, "one"), hear, transactions.commit, fail)

    assert (keys(), heard) == (["one"], ["one"])


def test_a_short_transaction_can_be_undone(heard: list[str]) -> None:
    with transactions.short():
        add("one")
        transactions.on_commit(partial(heard.append, "one"))
        transactions.rollback()

    assert (keys(), heard) == ([], [])


def test_others_see_nothing_of_it_before_it_ends() -> None:
    with transactions.short():
        add("one")
        assert db.session.scalars(sa.select(AttemptCounter.key)).all() == []


def test_without_a_short_one_all_is_about_the_sessions(heard: list[str]) -> None:
    add("one")
    transactions.on_commit(partial(heard.append, "one"))
    transactions.rollback()
    add("two")
    transactions.on_commit(partial(heard.append, "two"))
    assert keys() == []
    transactions.commit()
    transactions.commit()

    assert (keys(), heard) == (["two"], ["two"])


def test_a_savepoint_is_no_commit(heard: list[str]) -> None:
    with db.session.begin_nested():
        add("one")
        transactions.on_commit(partial(heard.append, "one"))
    assert heard == []
    db.session.rollback()

    assert (keys(), heard) == ([], [])


def test_a_connection_that_was_lost_before_is_replaced() -> None:
    keys()
    current_app.extensions["portal.connections"].current().connection.close()

    with transactions.short():
        add("one")

    assert keys() == ["one"]


def test_a_connection_that_is_lost_in_between_takes_all_with_it() -> None:
    lose = current_app.extensions["portal.connections"].current().connection.close
    with pytest.raises(DBAPIError) as raised:
        in_short(partial(add, "one"), lose, partial(add, "two"))

    assert raised.value.connection_invalidated
    assert keys() == []
    with transactions.short():
        add("three")
    assert keys() == ["three"]
