"""Programs of the four dialects that act at one moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import sqlalchemy as sa
from httpx import Response

from portal.clock import utcnow
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, RefreshToken, Role, Scope, Session
from tests import factories
from tests.api.programs import Program
from tests.factories import PASSWORD
from tests.faults.attack import at_once, must_break, statuses
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

EIGHT = 8  # ten wrong passwords would lock the name


@pytest.fixture
def bob(olivia: Account) -> Account:
    """A member."""
    return factories.staff(Role.MEMBER, "bob", utcnow())


@pytest.fixture
def api_token(olivia: Account) -> str:
    """What the app shows."""
    made, token = api_tokens.create_api_token(
        by=olivia,
        name="the app",
        scope=Scope.SIGN_IN,
        expires_at=None,
        origin=factories.device(),
        now=utcnow(),
    )
    assert made.account_id == olivia.id
    return token


def test_of_eight_devices_that_sign_in_at_once_one_is_let_in(
    serve_portal: Serve, bob: Account, api_token: str
) -> None:
    with serve_portal() as url:
        answers = _sign_in_everywhere(url, api_token)

    assert statuses(answers) == {200: 1, 403: 7}
    assert _living_on_phones(bob) == 1


# its control
def test_looking_for_another_device_first_would_let_several_in(
    serve_unguarded: Serve, bob: Account, api_token: str
) -> None:
    with _without_the_rule(), serve_unguarded(UNGUARDED="device_looked_for_first") as url:

        def attack() -> bool:
            _end_sessions()
            _sign_in_everywhere(url, api_token)
            return _living_on_phones(bob) > 1

        must_break(attack)


def test_the_table_itself_holds_one_phone_an_account(bob: Account) -> None:
    db.session.add_all(_phone(bob) for _ in range(2))

    with pytest.raises(sa.exc.IntegrityError):
        db.session.flush()
    db.session.rollback()


# case 40
def test_a_refresh_token_shown_eight_times_at_once_is_good_once_and_ends_the_session(
    serve_portal: Serve, bob: Account
) -> None:
    with serve_portal() as url:
        answers = _refresh_at_once(url)

    assert statuses(answers) == {200: 1, 401: 7}
    assert _count(RefreshToken, RefreshToken.used_at.is_(None)) == 1
    assert _count(Session, Session.dialect == "sadhelx", Session.revoked_at.is_(None)) == 0


# case 40, its control
def test_looking_at_a_refresh_token_before_using_it_would_use_it_twice(
    serve_unguarded: Serve, bob: Account
) -> None:
    with serve_unguarded(UNGUARDED="refresh_token_read_then_used") as url:

        def attack() -> bool:
            return statuses(_refresh_at_once(url)).get(200, 0) > 1

        must_break(attack)


def _sign_in_everywhere(url: str, api_token: str) -> list[Response]:
    body = {"username": "bob", "password": PASSWORD}
    headers = {"mobile-app": "mobile-application", "Authorization": api_token}
    return at_once(
        [
            partial(
                Program(url).post,
                "/mobile/login",
                json=body,
                headers=headers | {"device-id": f"phone {number}"},
            )
            for number in range(EIGHT)
        ]
    )


def _refresh_at_once(url: str) -> list[Response]:
    credentials = {"identity": "bob", "password": PASSWORD}
    signed_in = Program(url).post("/usermgmt/login", json=credentials).json()
    headers = {"Authorization": f"Bearer {signed_in['data']['token']['token_refresh']}"}
    return at_once(
        [
            partial(
                Program(url).post,
                "/usermgmt/refresh-token",
                json={"identity": "bob"},
                headers=headers,
            )
            for _ in range(EIGHT)
        ]
    )


@contextmanager
def _without_the_rule() -> Iterator[None]:
    """Take away the table's own rule; no session is left when it returns."""
    (rule,) = (index for index in Session.__table__.indexes if index.name == "uq_session_mobile")
    db.session.rollback()
    rule.drop(db.engine)
    try:
        yield
    finally:
        _end_sessions()
        rule.create(db.engine)


def _end_sessions() -> None:
    db.session.execute(sa.update(Session).values(revoked_at=utcnow()))
    db.session.commit()


def _living_on_phones(account: Account) -> int:
    return _count(
        Session,
        Session.account_id == account.id,
        Session.dialect == "mobile",
        Session.revoked_at.is_(None),
    )


def _phone(account: Account) -> Session:
    now = utcnow()
    return Session(
        account_id=account.id,
        surface="api",
        dialect="mobile",
        device="0" * 64,
        created_at=now,
        last_seen_at=now,
        expires_at=now,
    )


def _count(table: type, *which: sa.ColumnElement[bool]) -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(table).where(*which)) or 0
