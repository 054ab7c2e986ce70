"""Statements asked of the driver: they take part in the session's transaction, errors and all."""

import psycopg
import pytest
import sqlalchemy as sa
from flask import current_app
from sqlalchemy.exc import IntegrityError, OperationalError

from portal.extensions import db
from portal.models import Account, AttemptCounter, Role
from portal.statements import Statement
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")

ADD = Statement(sa.insert(AttemptCounter))
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
COUNTER = {"key": "tries/one", "hits": 1, "expires_at": 2.0}


def hits() -> int:
    """How often the one counter was counted."""
    return db.session.scalar(sa.select(AttemptCounter.hits)) or 0


def test_what_a_statement_returns_has_the_types_of_the_orm() -> None:
    owner = factories.owner()

    renamed = RENAME.first({"holder": Role.OWNER, "name": "oscar"})

    assert renamed is not None
    assert tuple(renamed) == (owner.id, Role.OWNER, NOW)
    assert RENAME.first({"holder": Role.MEMBER, "name": "oscar"}) is None


@pytest.mark.parametrize("committed", [True, False])
def test_a_statement_takes_part_in_the_transaction(committed: bool) -> None:
    assert ADD.rows(COUNTER) == []

    db.session.commit() if committed else db.session.rollback()

    assert hits() == committed


def test_a_statement_can_be_undone_to_a_savepoint() -> None:
    ADD.rows(COUNTER)
    with pytest.raises(IntegrityError), db.session.begin_nested():
        ADD.rows(COUNTER)
    db.session.commit()

    assert hits() == 1


def test_what_goes_along_with_a_statement_is_done_with_it_or_both_are_not() -> None:
    owner = factories.owner()

    [(renamed,)] = RENAME_AND_ADD.rows({**COUNTER, "name": "oscar"})
    with pytest.raises(IntegrityError), db.session.begin_nested():
        RENAME_AND_ADD.rows({**COUNTER, "name": "otto"})
    db.session.commit()

    db.session.refresh(owner)
    assert (renamed, owner.username, hits()) == ("oscar", "oscar", 1)


def test_a_statement_at_once_is_committed_beside_the_session() -> None:
    assert ADD.at_once(COUNTER) == []
    db.session.rollback()

    assert hits() == 1
    with pytest.raises(IntegrityError):
        ADD.at_once(COUNTER)
    assert hits() == 1


def test_what_goes_along_at_once_is_done_with_it_or_both_are_not() -> None:
    owner = factories.owner()

    [(renamed,)] = RENAME_AND_ADD.at_once({**COUNTER, "name": "oscar"})
    with pytest.raises(IntegrityError):
        RENAME_AND_ADD.at_once({**COUNTER, "name": "otto"})

    db.session.refresh(owner)
    assert (renamed, owner.username, hits()) == ("oscar", "oscar", 1)


def test_a_statement_at_once_replaces_a_connection_that_was_lost() -> None:
    current_app.extensions["portal.connections"].current().connection.close()
    assert ADD.at_once(COUNTER) == []
    current_app.extensions["portal.connections"].current().connection.close()
    assert RENAME_AND_ADD.at_once({**COUNTER, "key": "tries/two", "name": "oscar"}) == []

    assert db.session.scalar(sa.select(sa.func.count(AttemptCounter.key))) == 2


def test_a_lost_connection_is_named_by_sqlalchemy_and_replaced(engine: str) -> None:
    if engine == "sqlite":  # there is no server to lose
        return
    driver = db.session.connection().connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    driver.close()

    with pytest.raises(OperationalError) as raised:
        ADD.rows(COUNTER)

    assert raised.value.connection_invalidated
    db.session.rollback()
    ADD.rows(COUNTER)
    db.session.commit()
    assert hits() == 1
