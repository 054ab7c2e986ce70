"""A staff code that is used while its issuer is being demoted."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from portal.clock import utcnow
from portal.domain.accounts import deletion
from portal.extensions import db
from portal.models import Account, Role
from tests import factories
from tests.factories import code_of
from tests.faults.attack import Browser, must_break
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

LONG_ENOUGH = 2  # seconds, for whoever does not wait


@pytest.fixture
def alice(olivia: Account) -> Account:
    """An admin."""
    return factories.staff(Role.ADMIN, "alice", utcnow())


# case 82
def test_a_demotion_that_is_under_way_is_waited_for(serve_portal: Serve, alice: Account) -> None:
    with serve_portal() as url:
        assert _register_meanwhile(url, alice, "zoe") == 422


# case 82, its control
def test_looking_at_the_issuer_first_would_let_a_demoted_admin_back_in(
    serve_unguarded: Serve, alice: Account
) -> None:
    names = iter(f"zoe{number}" for number in range(100))
    with serve_unguarded(UNGUARDED="issuer_looked_at_first") as url:
        must_break(lambda: _register_meanwhile(url, alice, next(names)) == 303)


def _register_meanwhile(url: str, alice: Account, name: str) -> int:
    """Register with a code of Alice's while her demotion is not committed; the status answered.

    The code itself is not revoked: that is another guard.
    """
    alice.role = Role.ADMIN
    db.session.commit()
    code = code_of(factories.invitation(alice, utcnow(), grants_role=Role.ADMIN))
    browser = Browser.open(url)
    deletion.wait_for_ownership(alice)
    alice.role = Role.VIEWER
    db.session.flush()
    with ThreadPoolExecutor(1) as pool:
        registering = pool.submit(partial(browser.register, name, code=code))
        try:
            return registering.result(timeout=LONG_ENOUGH).status_code
        except TimeoutError:
            db.session.commit()
            return registering.result().status_code
        finally:
            db.session.commit()
