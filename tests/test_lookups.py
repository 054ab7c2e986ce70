"""Look-ups: what they see, what they make of it, and how they outlive a lost connection."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import DetachedInstanceError

from portal.extensions import db
from portal.lookups import LookUp, adopted, entity_of_row
from portal.models import Account, Invitation, Role
from portal.models.types import UTCDateTime
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")

BY_NAME = LookUp(
    sa.select(*Account.__table__.c).where(Account.username == sa.bindparam("username"))
)
EXPIRING = LookUp(
    sa.select(Invitation.id, Invitation.expires_at, Invitation.sealed).where(
        Invitation.expires_at <= sa.bindparam("end", type_=UTCDateTime)
    )
)
IMPOSSIBLE = LookUp(sa.select(sa.text("nothing FROM nowhere")))


def olivia() -> Account | None:
    """The owner, by a look-up."""
    row = BY_NAME.first({"username": "olivia"})
    return None if row is None else entity_of_row(Account, row)


def test_what_is_found_has_the_types_of_the_orm() -> None:
    owner = factories.owner()
    invited = factories.invitation(owner, expires_at=NOW + timedelta(days=1))

    found = olivia()

    assert found is not None
    assert found is not owner
    assert (found.id, found.role, found.created_at) == (owner.id, Role.OWNER, NOW)
    (row,) = EXPIRING.rows({"end": NOW + timedelta(days=2)})
    assert tuple(row) == (invited.id, invited.expires_at, invited.sealed)
    assert EXPIRING.rows({"end": NOW}) == []


def test_an_object_of_a_part_of_its_row_keeps_quiet_about_the_rest() -> None:
    part = entity_of_row(Account, [factories.owner().id, "olivia"], ("id", "username"))

    assert part.username == "olivia"
    with pytest.raises(DetachedInstanceError):
        part.password_hash  # noqa: B018 - to ask is enough


def test_a_look_up_sees_what_is_committed_and_within_the_session_what_is_written() -> None:
    owner = factories.owner()
    owner.username = "oscar"
    db.session.flush()

    assert olivia() is not None
    assert BY_NAME.in_transaction.first({"username": "olivia"}) is None
    db.session.rollback()


@pytest.mark.parametrize("is_there", [False, True], ids=["a stranger", "the session's own"])
def test_what_was_looked_up_can_be_changed_once_it_is_adopted(*, is_there: bool) -> None:
    owner = factories.owner()
    if not is_there:
        db.session.expunge_all()
    found = olivia()
    assert found is not None

    own = adopted(found)
    own.failed_sign_ins = 3
    db.session.commit()

    assert (own is owner) is is_there
    again = olivia()
    assert again is not None
    assert again.failed_sign_ins == 3


def test_a_look_up_leaves_no_transaction_open() -> None:
    olivia()
    factories.owner()

    assert olivia() is not None


def test_a_lost_connection_is_replaced(app: Flask) -> None:
    factories.owner()
    olivia()
    current_app.extensions["portal.connections"].current().connection.close()

    assert olivia() is not None
    assert olivia() is not None


def test_an_error_of_the_database_is_named_by_sqlalchemy() -> None:
    with pytest.raises(DBAPIError):
        IMPOSSIBLE.rows({})
    assert olivia() is None
