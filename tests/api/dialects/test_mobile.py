"""The document of the former mobile service, example by example and row by row."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts, sessions
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, Role, Scope, Session
from tests import factories
from tests.api.programs import Person, Program, device
from tests.factories import PASSWORD

pytestmark = pytest.mark.gunicorn

LOGIN, LOGOUT = "/mobile/login", "/mobile/logout"
APP = {"mobile-app": "mobile-application", "Accept": "application/json"}

NO_TOKEN = (403, "Token tidak ditemukan dalam header Authorization")
INACTIVE = (403, "Akun Anda Tidak Aktif, Silahkan Hubungi Administrator !!!")
ELSEWHERE = (
    403,
    "ANDA SUDAH LOGIN DI PERANGKAT LAIN, LAPORKAN HAL MENCURIGAKAN JIKA BUKAN ANDA !!!",
)
TOO_MANY_FAILURES = (
    "Akun Anda Telah Di Non-Aktifkan Karena Terlalu Banyak Percobaan Login Gagal."
    " Silahkan Hubungi Administrator !!!"
)
TOO_MANY = (403, TOO_MANY_FAILURES)
WRONG = (403, "Username Atau Password salah silahkan coba lagi !!!")
BAD_TOKEN = (401, "Token tidak valid atau kadaluarsa")
UNKNOWN_TOKEN = (404, "Token tidak ditemukan")
NOTHING_FOUND = (404, "Data tidak ditemukan !!!")
OUR_FAULT = (500, "SERVER MENGALAMI GANGGUAN, SILAHKAN COBA LAGI NANTI !!!")

Make = Callable[..., str]


@pytest.fixture
def admin(behind: Flask) -> Account:
    """Who made the app's token."""
    return factories.staff(Role.ADMIN, Person().username, utcnow())


@pytest.fixture
def make_token(admin: Account) -> Make:
    """Makes API tokens."""

    def make(expires_at: datetime | None = None, scope: Scope = Scope.SIGN_IN) -> str:
        _, token = api_tokens.create_api_token(
            by=admin,
            name="the app",
            scope=scope,
            expires_at=expires_at,
            origin=factories.device(),
            now=utcnow(),
        )
        return token

    return make


@pytest.fixture
def member(behind: Flask) -> Account:
    """Somebody with an account."""
    account = factories.staff(Role.MEMBER, Person().username, utcnow())
    account.first_name, account.last_name = "Siti", "Aminah"
    db.session.commit()
    return account


class Phone:
    """The app on one telephone; without a `name` it sends no device-id."""

    def __init__(self, program: Program, token: str, name: str | None = "") -> None:
        self.program = program
        self.headers = APP | {"Authorization": token}
        if name is not None:
            self.headers["device-id"] = name or device()

    def login(self, username: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
        """The document's request."""
        body = {"username": username, "password": password}
        return self.program.post(LOGIN, json=body, headers=self.headers | headers)

    def logout(self, token: str) -> httpx.Response:
        """Sign out."""
        return self.program.post(LOGOUT, headers=self.headers | {"Authorization": token})


@pytest.fixture
def phone(program: Program, make_token: Make) -> Phone:
    """A telephone with the app."""
    return Phone(program, make_token())


@pytest.fixture
def other_phone(phone: Phone) -> Phone:
    """Another, with the same app at another address."""
    return Phone(Program(phone.program.url), phone.headers["Authorization"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and message, in the document's envelope."""
    body = answer.json()
    assert list(body) == ["timestamp", "status", "message"], answer.text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    assert body["status"] == 0
    return answer.status_code, body["message"]


def success(answer: httpx.Response) -> dict[str, Any]:
    """What a success carries."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == 200, answer.text
    assert (body["status"], body["message"]) == (1, "SUCCESS")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])
    return body


def test_a_success_is_that_of_the_document(phone: Phone, member: Account) -> None:
    body = success(phone.login(member.username))

    assert list(body) == ["timestamp", "status", "message", "name", "token"]
    assert body["name"] == "Siti Aminah"
    at = datetime.fromisoformat(body["timestamp"])
    assert abs(at - utcnow()) < timedelta(minutes=5)


def test_the_email_is_a_username_too(phone: Phone, member: Account) -> None:
    assert success(phone.login(member.email.upper()))


@pytest.mark.parametrize("before", ["Bearer ", "bearer ", ""])
def test_bearer_may_stand_before_the_token(phone: Phone, member: Account, before: str) -> None:
    token = before + phone.headers["Authorization"]

    assert success(phone.login(member.username, Authorization=token))


def test_without_a_token_nobody_gets_in(phone: Phone, member: Account) -> None:
    del phone.headers["Authorization"]

    assert refusal(phone.login(member.username)) == NO_TOKEN
    assert refusal(phone.login(member.username, Authorization="")) == NO_TOKEN
    assert refusal(phone.login(member.username, Authorization="Bearer")) == NO_TOKEN


def test_an_unknown_token_is_not_found(phone: Phone, member: Account) -> None:
    assert refusal(phone.login(member.username, Authorization="inv_" + "a" * 43)) == UNKNOWN_TOKEN


@pytest.mark.parametrize("token", ["token_api", "inv_", "inv_short", "Basic YTpi", "a.b.c"])
def test_a_malformed_token_is_not_valid(phone: Phone, member: Account, token: str) -> None:
    assert refusal(phone.login(member.username, Authorization=token)) == BAD_TOKEN


def test_an_expired_token_is_not_valid(program: Program, make_token: Make, member: Account) -> None:
    phone = Phone(program, make_token(expires_at=utcnow() - timedelta(seconds=1)))

    assert refusal(phone.login(member.username)) == BAD_TOKEN


def test_a_revoked_token_is_not_valid(phone: Phone, member: Account, admin: Account) -> None:
    (row,) = api_tokens.api_tokens_of(admin)
    api_tokens.revoke_api_token(row.id, by=admin, origin=factories.device(), now=utcnow())

    assert refusal(phone.login(member.username)) == BAD_TOKEN


def test_the_token_of_somebody_who_is_no_admin_any_more_is_not_valid(
    phone: Phone, member: Account, admin: Account
) -> None:
    admin.role = Role.VIEWER
    db.session.commit()

    assert refusal(phone.login(member.username)) == BAD_TOKEN


# case 92
@pytest.mark.parametrize("scope", [Scope.READ, Scope.ISSUE, Scope.MANAGE])
def test_a_token_that_may_not_sign_people_in_guesses_nobodys_password(
    program: Program, make_token: Make, member: Account, scope: Scope
) -> None:
    robot = Phone(program, make_token(scope=scope))

    assert refusal(robot.login(member.username)) == BAD_TOKEN
    for _ in range(11):
        assert refusal(robot.login(member.username, "wrong")) == BAD_TOKEN

    db.session.expire_all()
    assert (member.failed_sign_ins, member.deactivated_at) == (0, None)
    assert success(Phone(program, make_token()).login(member.username))


@pytest.mark.parametrize("app", ["", "web-application", "mobile-application2"])
def test_the_app_has_to_name_itself(phone: Phone, member: Account, app: str) -> None:
    phone.headers["mobile-app"] = app

    assert refusal(phone.login(member.username))[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "siti"},
        {"password": "x"},
        {"username": 1, "password": "x"},
        {"username": "siti", "password": ["x"]},
        {"username": "", "password": ""},
        [],
        None,
        "text",
    ],
)
def test_a_body_without_the_fields_is_data_that_is_not_found(phone: Phone, body: object) -> None:
    assert refusal(phone.program.post(LOGIN, json=body, headers=phone.headers)) == NOTHING_FOUND


def test_an_unknown_name_and_a_wrong_password_are_answered_alike(
    phone: Phone, member: Account
) -> None:
    assert refusal(phone.login(member.username, "wrong")) == WRONG
    assert refusal(phone.login(Person().username)) == WRONG


def test_an_account_that_staff_deactivated_is_not_active(phone: Phone, member: Account) -> None:
    member.deactivated_at = utcnow()
    db.session.commit()

    assert refusal(phone.login(member.username)) == INACTIVE
    assert refusal(phone.login(member.username, "wrong")) == WRONG


def test_another_device_is_refused_while_one_is_signed_in(
    phone: Phone, other_phone: Phone, member: Account
) -> None:
    success(phone.login(member.username))

    assert refusal(other_phone.login(member.username)) == ELSEWHERE


def test_the_same_device_replaces_its_session(phone: Phone, member: Account) -> None:
    first = success(phone.login(member.username))["token"]
    second = success(phone.login(member.username))["token"]

    assert refusal(phone.logout(first)) == BAD_TOKEN
    assert success(phone.logout(second))


def test_without_a_device_id_token_and_program_are_the_device(
    program: Program, make_token: Make, member: Account
) -> None:
    token = make_token()
    phone = Phone(program, token, name=None)

    success(phone.login(member.username))
    success(Phone(Program(program.url), token, name=None).login(member.username))
    assert refusal(phone.login(member.username, **{"User-Agent": "another"})) == ELSEWHERE
    assert refusal(Phone(program, make_token(), name=None).login(member.username)) == ELSEWHERE


def test_signing_out_lets_another_device_in(
    phone: Phone, other_phone: Phone, member: Account
) -> None:
    token = success(phone.login(member.username))["token"]

    assert list(success(phone.logout(token))) == ["timestamp", "status", "message"]

    assert refusal(phone.logout(token)) == BAD_TOKEN
    assert success(other_phone.login(member.username))


def test_bearer_may_stand_before_the_token_that_signs_out(phone: Phone, member: Account) -> None:
    token = success(phone.login(member.username))["token"]

    assert success(phone.logout(f"Bearer {token}"))


def test_an_api_token_signs_nobody_out(phone: Phone, member: Account) -> None:
    success(phone.login(member.username))

    assert refusal(phone.logout(phone.headers["Authorization"])) == BAD_TOKEN
    assert refusal(phone.logout("")) == NO_TOKEN


def test_expiry_lets_another_device_in(phone: Phone, other_phone: Phone, member: Account) -> None:
    success(phone.login(member.username))
    (session,) = _sessions(member)
    session.expires_at = utcnow()
    db.session.commit()

    assert success(other_phone.login(member.username))


def test_staff_can_end_the_session(phone: Phone, other_phone: Phone, member: Account) -> None:
    token = success(phone.login(member.username))["token"]
    sessions.revoke_all_of(member.id, now=utcnow())
    db.session.commit()

    assert refusal(phone.logout(token)) == BAD_TOKEN
    assert success(other_phone.login(member.username))


def test_a_session_of_another_dialect_is_no_other_device(
    phone: Phone, member: Account, program: Program
) -> None:
    login = {"email": member.email, "password": PASSWORD}
    assert program.post("/v1/login", json=login).status_code == 200

    assert success(phone.login(member.username))
    assert program.post("/v1/login", json=login).status_code == 200


def test_ten_wrong_passwords_deactivate_a_member(phone: Phone, member: Account) -> None:
    answers = [refusal(phone.login(member.username, f"wrong {number}")) for number in range(10)]

    assert answers == [WRONG] * 9 + [TOO_MANY]
    assert refusal(phone.login(member.username)) == TOO_MANY
    assert _fresh(member).deactivated_at is not None


def test_a_right_password_gives_the_ten_back(phone: Phone, member: Account) -> None:
    for number in range(9):
        phone.login(member.username, f"wrong {number}")
    success(phone.login(member.username))

    assert refusal(phone.login(member.username, "wrong")) == WRONG
    assert _fresh(member).failed_sign_ins == 1


def test_staff_are_throttled_and_never_deactivated(phone: Phone, admin: Account) -> None:
    for number in range(11):
        phone.login(admin.username, f"wrong {number}")

    refused = phone.login(admin.username)
    assert refused.status_code == 403
    assert int(refused.headers["Retry-After"]) > 0
    assert _fresh(admin).deactivated_at is None


def test_a_name_that_is_not_there_looks_like_one_that_was_switched_off(
    phone: Phone, member: Account, admin: Account
) -> None:
    names = (member.username, Person().username, admin.username)
    stories = [
        [refusal(phone.login(name, f"wrong {number}")) for number in range(12)] for name in names
    ]

    assert stories[0] == stories[1] == stories[2]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", LOGIN, 405), ("POST", "/mobile/x", 404)]
)
def test_what_is_not_there_is_answered_in_the_dialect(
    program: Program, method: str, path: str, status: int
) -> None:
    assert refusal(program.ask(method, path, headers=APP))[0] == status


def _sessions(account: Account) -> list[Session]:
    db.session.expire_all()
    living = sa.select(Session).where(
        Session.account_id == account.id, Session.dialect == "mobile", Session.revoked_at.is_(None)
    )
    return list(db.session.scalars(living))


def _fresh(account: Account) -> Account:
    db.session.rollback()
    db.session.expire_all()
    found = accounts.find(account.email)
    assert found is not None
    return found
