"""Sign-ins that run while the account is closed to them: none of them outlives the change."""

from functools import partial

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Account, AttemptCounter, Session
from tests import factories
from tests.factories import PASSWORD
from tests.faults.attack import Browser, at_once, browsers, must_break
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

SIX = 6


@pytest.fixture(params=["password", "deactivation"])
def change(request: pytest.FixtureRequest) -> str:
    """What closes the account."""
    return str(request.param)


@pytest.fixture
def mia(olivia: Account) -> Account:
    """A member, of whom Olivia may take care."""
    return factories.member("mia", utcnow())


# case 29
def test_no_sign_in_that_runs_meanwhile_outlives_a_new_password_or_a_deactivation(
    serve_portal: Serve, mia: Account, change: str
) -> None:
    with serve_portal() as url:
        assert [_left(url, mia, change) for _ in range(3)] == [0, 0, 0]


# case 29, its control
def test_a_password_that_is_read_once_would_leave_sessions_behind(
    serve_unguarded: Serve, mia: Account, change: str
) -> None:
    with serve_unguarded(UNGUARDED="password_read_once") as url:
        must_break(lambda: _left(url, mia, change) > 0)


def _left(url: str, mia: Account, change: str) -> int:
    """How many sessions others have after a change that ran beside their sign-ins."""
    before = mia.password_hash
    db.session.execute(sa.delete(AttemptCounter))
    db.session.commit()
    close = _closing(url, mia, change)
    signing_in = [
        partial(device.submit, "/login", identity="mia", password=PASSWORD)
        for device in browsers(SIX, url)
    ]
    answered, *_ = at_once([close, *signing_in])
    assert answered.status_code == 303, answered.text
    living = sa.select(sa.func.count()).where(
        Session.account_id == mia.id, Session.revoked_at.is_(None)
    )
    left = db.session.scalars(living).one()
    db.session.execute(sa.delete(Session))
    db.session.execute(
        sa.update(Account)
        .where(Account.id == mia.id)
        .values(password_hash=before, deactivated_at=None)
    )
    db.session.commit()
    return left - (change == "password")  # she keeps the session she changes it in


def _closing(url: str, mia: Account, change: str) -> partial:
    """Mia sets another password, or Olivia deactivates her."""
    browser = Browser.open(url)
    if change == "password":
        browser.sign_in("mia")
        new = {"current_password": PASSWORD, "password": f"{PASSWORD}!"}
        return partial(browser.submit, "/account/password", **new)
    browser.sign_in("olivia")
    return partial(browser.submit, f"/admin/people/{mia.id}/deactivation")
