"""Marks: committed one by one, beside the session, and not awaited by the disk."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import current_app
from sqlalchemy.exc import DBAPIError

from portal.extensions import db
from portal.marks import Mark
from portal.models import Account, Invitation
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")

_invitation = Invitation.metadata.tables["invitation"]
_account = Account.metadata.tables["account"]
_mailed = (
    sa.update(_invitation)
    .where(_invitation.c.id == sa.bindparam("invitation"), _invitation.c.mailed_at.is_(None))
    .values(mailed_at=sa.bindparam("now"))
)
_counted = (
    sa.update(_account).where(_account.c.id == sa.bindparam("account")).values(invitations_issued=7)
)
MAILED = Mark(_mailed)
COUNTED = Mark(_counted, along=[_mailed])
IMPOSSIBLE = Mark(sa.update(sa.table("nowhere", sa.column("nothing"))).values(nothing=1))
HOW_SAFE = {"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}


@pytest.fixture
def invitation(context: None) -> Invitation:
    return factories.invitation(factories.owner())


def mark(invitation: Invitation, later: timedelta = timedelta()) -> None:
    """Mark it as mailed."""
    MAILED.make({"invitation": invitation.id, "now": NOW + later})


def test_a_mark_is_committed_at_once_and_its_condition_holds(invitation: Invitation) -> None:
    mark(invitation)
    mark(invitation, later=timedelta(hours=1))

    db.session.rollback()
    db.session.refresh(invitation)
    assert invitation.mailed_at == NOW


def test_what_goes_along_is_updated_too(invitation: Invitation) -> None:
    mailing = {"invitation": invitation.id, "account": invitation.created_by_id, "now": NOW}

    COUNTED.make(mailing)

    db.session.refresh(invitation)
    account = db.session.get_one(Account, invitation.created_by_id, populate_existing=True)
    assert (invitation.mailed_at, account.invitations_issued) == (NOW, 7)


def test_a_mark_outlives_a_lost_connection(invitation: Invitation) -> None:
    current_app.extensions["portal.marks"].current().connection.close()

    mark(invitation)

    db.session.refresh(invitation)
    assert invitation.mailed_at == NOW


def test_only_marks_do_not_wait_for_the_disk(invitation: Invitation) -> None:
    mark(invitation)

    how_safe = HOW_SAFE[db.engine.dialect.name]
    ((hurried,),) = current_app.extensions["portal.marks"].current().execute(how_safe).fetchall()
    assert str(hurried) in {"off", "1"}
    db.session.commit()
    assert str(db.session.scalar(sa.text(how_safe))) in {"on", "2"}


def test_an_error_of_the_database_is_named_by_sqlalchemy(invitation: Invitation) -> None:
    with pytest.raises(DBAPIError):
        IMPOSSIBLE.make({})
    mark(invitation)
