"""One code of an app, shown by many browsers at one moment: it lets one of them in."""

from functools import partial

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Account
from tests.authenticators import App, app_of
from tests.factories import PASSWORD
from tests.faults.attack import Browser, at_once, browsers, must_break, statuses
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

SIX = 6


@pytest.fixture
def app_of_olivia(olivia: Account) -> App:
    """What Olivia carries."""
    return app_of(olivia, utcnow())[0]


def test_of_parallel_second_steps_with_one_code_one_succeeds(
    serve_portal: Serve, olivia: Account, app_of_olivia: App
) -> None:
    with serve_portal() as url:
        assert _take_second_step(browsers(SIX, url), app_of_olivia) == 1


# its control
def test_looking_at_the_last_code_before_writing_it_down_would_let_several_in(
    serve_unguarded: Serve, olivia: Account, app_of_olivia: App
) -> None:
    with serve_unguarded(UNGUARDED="step_read_then_written") as url:

        def attack() -> bool:
            db.session.execute(sa.update(Account).values(totp_last_step=None))
            db.session.commit()
            return _take_second_step(browsers(SIX, url), app_of_olivia) > 1

        must_break(attack)


def _take_second_step(devices: list[Browser], app: App) -> int:
    """How many got in, of devices that all know the password and one code."""
    for device in devices:
        answer = device.submit("/login", identity="olivia", password=PASSWORD)
        assert answer.status_code == 303, answer.text
    code = app.code(utcnow())
    answers = at_once(
        [partial(device.submit, "/login/second-step", code=code) for device in devices]
    )
    assert set(statuses(answers)) <= {303, 422}
    return statuses(answers).get(303, 0)
