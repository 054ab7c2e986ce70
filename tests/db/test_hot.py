"""Hot statements have SQLAlchemy's types and errors, and never mix with the session."""

from collections.abc import Callable
from functools import partial

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm.exc import DetachedInstanceError

from portal.db import hot
from portal.db.hot import SESSION, Statement, Transaction, TransactionsMixed
from portal.db.types import new_id
from portal.extensions import db
from portal.models import Account, AttemptCounter, Role
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")

ADD = Statement(sa.insert(AttemptCounter))
KEYS = Statement(sa.select(AttemptCounter.key).order_by(AttemptCounter.key))
RENAME = Statement(
    sa.update(Account)
    .where(Account.role == sa.bindparam("holder", type_=Account.role.type))
    .values(username=sa.bindparam("name"))
    .returning(Account.id, Account.role, Account.created_at)
)
RENAME_AND_ADD = Statement(
    sa.update(Account).values(username=sa.bindparam("name")).returning(Account.username),
    along=[sa.insert(AttemptCounter)],
)
COUNTER = {"key": "one", "hits": 1, "expires_at": 2.0}


class Trouble(Exception):
    """Something that went wrong."""


def add(tx: Transaction, key: str) -> None:
    """Add a counter."""
    tx.rows(ADD, COUNTER | {"key": key})


def keys() -> list[str]:
    """The counters that are committed."""
    return [key for (key,) in hot.rows(KEYS, {})]


def within(*steps: Callable[[Transaction], object]) -> None:
    """Do all this in one hot transaction."""
    with hot.transaction() as tx:
        for step in steps:
            step(tx)


def fail(_: Transaction) -> None:
    """Go wrong."""
    raise Trouble


def run_in_transaction(statement: Statement, values: hot.Values) -> list[hot.Row]:
    """The rows of a statement in a hot transaction of its own."""
    with hot.transaction() as tx:
        return list(tx.rows(statement, values))


def run_in_session(statement: Statement, values: hot.Values) -> list[hot.Row]:
    """The rows of a statement in the session, committed."""
    found = SESSION.rows(statement, values)
    db.session.commit()
    return list(found)


WAYS = [hot.rows, run_in_transaction, run_in_session]


@pytest.mark.parametrize("run", WAYS)
def test_rows_have_the_types_of_the_orm(run: Callable[..., list[hot.Row]]) -> None:
    owner = factories.owner()

    [renamed] = run(RENAME, {"holder": Role.OWNER, "name": "oscar"})

    assert tuple(renamed) == (owner.id, Role.OWNER, NOW)
    assert run(RENAME, {"holder": Role.MEMBER, "name": "oscar"}) == []


@pytest.mark.parametrize("run", WAYS)
def test_changes_along_with_a_statement_are_made_with_it_or_neither_is(
    run: Callable[..., list[hot.Row]],
) -> None:
    owner = factories.owner()

    [(renamed,)] = run(RENAME_AND_ADD, {**COUNTER, "name": "oscar"})
    with pytest.raises(IntegrityError) as raised:
        run(RENAME_AND_ADD, {**COUNTER, "name": "otto"})
    db.session.rollback()

    db.session.refresh(owner)
    assert (renamed, owner.username, keys()) == ("oscar", "oscar", ["one"])
    assert "otto" not in str(raised.value)


def test_a_transaction_is_committed_at_its_end() -> None:
    heard: list[str] = []
    with hot.transaction() as tx:
        add(tx, "one")
        add(tx, "two")
        tx.on_commit(partial(heard.append, "two"))
        assert heard == []

    assert (keys(), heard) == (["one", "two"], ["two"])


def test_an_error_rolls_a_transaction_back() -> None:
    heard: list[str] = []
    with pytest.raises(Trouble):
        within(partial(add, key="one"), lambda tx: tx.on_commit(lambda: heard.append("one")), fail)

    assert (keys(), heard) == ([], [])
    within(partial(add, key="two"))
    assert keys() == ["two"]


def test_what_was_committed_before_an_error_stays() -> None:
    with pytest.raises(Trouble):
        within(partial(add, key="one"), lambda tx: tx.commit(), partial(add, key="two"), fail)

    assert keys() == ["one"]


def test_a_transaction_can_be_rolled_back() -> None:
    within(partial(add, key="one"), lambda tx: tx.rollback())

    assert keys() == []


def test_a_transaction_that_does_not_wait_for_the_disk_leaves_no_setting_behind(
    engine: str,
) -> None:
    setting = "PRAGMA synchronous" if engine == "sqlite" else "SHOW synchronous_commit"
    with hot.transaction(durable=False) as tx:
        add(tx, "one")

    assert keys() == ["one"]
    assert db.session.scalar(sa.text(setting)) in {2, "on"}


def test_the_session_cannot_be_used_inside_a_hot_transaction() -> None:
    with pytest.raises(TransactionsMixed):
        within(lambda _: db.session.scalars(sa.select(Account)).all())
    with pytest.raises(TransactionsMixed):
        within(lambda _: db.session.get(Account, new_id()))
    with pytest.raises(TransactionsMixed):
        within(lambda _: SESSION.rows(KEYS, {}))


def test_a_hot_transaction_does_not_begin_while_the_session_has_one_open() -> None:
    db.session.scalars(sa.select(Account)).all()
    with pytest.raises(TransactionsMixed):
        within(partial(add, key="one"))
    db.session.commit()

    within(partial(add, key="one"))
    assert keys() == ["one"]


def test_a_single_statement_does_not_run_beside_an_open_hot_transaction() -> None:
    with pytest.raises(TransactionsMixed):
        within(lambda _: hot.rows(ADD, COUNTER))

    assert keys() == []


def test_a_single_change_waits_for_no_change_of_its_own_session(engine: str) -> None:
    add(SESSION, "one")
    if engine == "sqlite":
        with pytest.raises(TransactionsMixed):
            hot.rows(ADD, COUNTER | {"key": "two"})
    db.session.commit()
    db.session.scalars(sa.select(Account)).all()
    hot.rows(ADD, COUNTER | {"key": "three"})
    assert keys() == ["one", "three"]


def test_a_single_statement_sees_nothing_that_the_session_has_not_committed() -> None:
    add(SESSION, "one")
    assert keys() == []
    db.session.commit()
    assert keys() == ["one"]


def test_in_the_session_a_statement_is_undone_with_it() -> None:
    heard: list[str] = []
    add(SESSION, "one")
    SESSION.on_commit(partial(heard.append, "one"))
    SESSION.rollback()
    add(SESSION, "two")
    SESSION.on_commit(partial(heard.append, "two"))
    SESSION.commit()

    assert (keys(), heard) == (["two"], ["two"])


def test_a_savepoint_is_no_commit() -> None:
    heard: list[str] = []
    with db.session.begin_nested():
        SESSION.on_commit(partial(heard.append, "one"))
    assert heard == []


def test_a_lost_connection_is_named_by_sqlalchemy_and_replaced(engine: str) -> None:
    if engine == "sqlite":  # there is no server to lose
        return
    address = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def lose(_: Transaction) -> None:
        with psycopg.connect(address) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    with pytest.raises(DBAPIError) as raised:
        within(partial(add, key="one"), lose, partial(add, key="two"))

    assert raised.value.connection_invalidated
    within(partial(add, key="three"))
    assert keys() == ["three"]


def test_an_entity_made_of_a_row_can_be_asked_for_no_more_than_the_row_had() -> None:
    known = hot.entity(Account, {"id": new_id(), "username": "olivia"})

    assert known.username == "olivia"
    with pytest.raises(DetachedInstanceError):
        _ = known.password_hash
    assert known not in db.session
