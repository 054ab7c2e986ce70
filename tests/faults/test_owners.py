"""Owners who demote, or keep out, each other at one moment: one must remain."""

from functools import partial

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Account, Role, Session
from tests import factories
from tests.faults.attack import Browser, at_once, must_break
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

NAMES = ["olivia", "oscar", "otto"]


@pytest.fixture(params=["role", "deactivation"])
def change(request: pytest.FixtureRequest) -> str:
    """What the owners do to each other."""
    return str(request.param)


@pytest.fixture
def owners() -> list[Account]:
    """Three of them."""
    return [factories.owner(utcnow(), name) for name in NAMES]


# case 26
def test_of_owners_who_remove_each_other_one_remains(
    serve_portal: Serve, owners: list[Account], change: str
) -> None:
    with serve_portal() as url:
        for _ in range(4):
            _remove_each_other(url, owners, change)
            assert _remaining() >= 1


# case 26, its control
def test_counting_the_owners_before_removing_one_would_leave_none(
    serve_unguarded: Serve, owners: list[Account], change: str
) -> None:
    with serve_unguarded(UNGUARDED="owners_counted_first") as url:

        def attack() -> bool:
            _remove_each_other(url, owners, change)
            return _remaining() == 0

        must_break(attack)


def _remove_each_other(url: str, owners: list[Account], change: str) -> None:
    """Each owner removes the next one, all at once."""
    db.session.execute(sa.delete(Session))
    db.session.execute(sa.update(Account).values(role=Role.OWNER, deactivated_at=None))
    db.session.commit()
    browsers = [Browser.open(url) for _ in owners]
    for browser, owner in zip(browsers, owners, strict=True):
        browser.sign_in(owner.username)
    following = [*owners[1:], owners[0]]
    at_once(
        [
            partial(browser.submit, f"/admin/people/{person.id}/{change}", role="viewer")
            for browser, person in zip(browsers, following, strict=True)
        ]
    )


def _remaining() -> int:
    db.session.rollback()
    owning = sa.select(sa.func.count()).select_from(Account)
    owning = owning.where(Account.role == Role.OWNER, Account.deactivated_at.is_(None))
    return db.session.scalars(owning).one()
