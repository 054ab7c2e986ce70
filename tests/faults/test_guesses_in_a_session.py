"""Passwords guessed at one moment within one session: ten are evaluated, and the session ends."""

from functools import partial

import pytest
import sqlalchemy as sa

from portal.domain.audit import chain
from portal.extensions import db
from portal.models import Account, AuditEvent, Session
from tests.faults.attack import Browser, at_once, must_break, statuses, twins
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

THIRTY, TEN = 30, 10


# case 86
def test_of_parallel_guesses_within_a_session_ten_are_evaluated(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal() as url:
        browser = Browser.open(url)
        browser.sign_in("olivia")

        assert _guess(browser) == TEN

        assert browser.visit("/account").status_code == 303
        assert _written("session.guessed_in") == 1
        living = sa.select(sa.func.count()).where(Session.revoked_at.is_(None))
        assert db.session.scalars(living).one() == 0
        Browser.open(url).sign_in("olivia")


# case 86, its control
def test_counting_guesses_afterwards_would_evaluate_more(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="guesses_counted_afterwards") as url:

        def attack() -> bool:
            browser = Browser.open(url)
            browser.sign_in("olivia")
            return _guess(browser) > TEN

        must_break(attack)


def _guess(browser: Browser) -> int:
    """How many of thirty guesses were evaluated, each without the cookie that names the device."""
    before, devices = _written("sign_in.refused"), twins(THIRTY, browser)
    for device in devices:
        device.forget_device()
    answers = at_once(
        [
            partial(
                device.submit,
                "/account/password",
                current_password=f"wrong {number}",
                password="a new battery staple",
            )
            for number, device in enumerate(devices)
        ]
    )
    assert set(statuses(answers)) <= {303, 422, 429}
    return _written("sign_in.refused") - before


def _written(action: str) -> int:
    """How often that stands in the audit log."""
    db.session.rollback()
    chain.catch_up()
    return db.session.scalars(sa.select(sa.func.count()).where(AuditEvent.action == action)).one()
