"""SQLite under more writers than any portal on one file will have."""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from portal import create_app
from portal.clock import utcnow
from portal.domain.audit import chain
from portal.extensions import db
from tests import factories
from tests.conftest import make_settings, migrate
from tests.factories import code_of
from tests.faults.attack import Browser, at_once, browsers, guess, ledger, must_break, uses
from tests.servers import serve

pytestmark = pytest.mark.gunicorn

WRITERS = 32  # 8 processes of 4 threads, and as many browsers
REFUSED_BY_THE_DATABASE = {500, 503}
CROWD = {"workers": 8, "TRUSTED_PROXIES": "1"}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[str]:
    """A SQLite database, open in this process as well."""
    url = f"sqlite:///{tmp_path / 'portal.db'}"
    migrate(url)
    with create_app(make_settings(url)).app_context():
        yield url
        db.engine.dispose()


# case 27
def test_thirty_two_writers_never_find_the_database_locked(file: str) -> None:
    invitation = factories.invitation(factories.owner(utcnow()), utcnow(), max_uses=None)
    with serve(file, **CROWD) as url:
        answers = _write_at_once(browsers(WRITERS, url), code_of(invitation))

    assert answers == {200: 2 * WRITERS, 422: 3 * WRITERS, 303: WRITERS}
    assert uses(invitation.id) == ledger(invitation.id) == WRITERS
    assert chain.first_broken_link() is None


# case 27, its control
def test_transactions_that_begin_by_reading_would_find_it_locked(file: str) -> None:
    invitation = factories.invitation(factories.owner(utcnow()), utcnow(), max_uses=None)
    unguarded = {"app": "tests.faults.unguarded:app", "UNGUARDED": "transactions_begin_by_reading"}
    with serve(file, **unguarded, **CROWD) as url:
        devices = browsers(WRITERS, url)
        code = code_of(invitation)
        must_break(lambda: bool(REFUSED_BY_THE_DATABASE & _write_at_once(devices, code).keys()))


def _write_at_once(devices: list[Browser], code: str) -> Counter[int]:
    """What is answered to devices that look, guess, sign in … all as fast as they can."""
    return sum(at_once([partial(_write, device, code) for device in devices]), Counter())


def _write(device: Browser, code: str) -> Counter[int]:
    answers = (
        device.submit("/validation", code=guess()),
        device.redeem(guess()),
        device.submit("/validation", code=guess()),
        device.submit("/login", identity=guess(), password=guess()),
        device.submit("/activation", identity=guess(), code="123456"),  # reads before it writes
        device.redeem(code),
    )
    return Counter(answer.status_code for answer in answers)
