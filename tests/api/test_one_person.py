"""The same person in every dialect, and on the pages."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts, sessions
from portal.domain.errors import SignInRequired
from portal.domain.tokens import api_tokens
from portal.domain.tokens import jwt as signed_tokens
from portal.extensions import db
from portal.models import Account, Role, Scope
from tests import factories
from tests.api.post import Post
from tests.api.programs import TLS, Person, Program, device

pytestmark = pytest.mark.gunicorn

PASSWORD = "@Testing1"  # one that every dialect takes


@pytest.fixture
def browser(program: Program) -> Iterator[httpx.Client]:
    """A browser."""
    headers = {"X-Forwarded-For": program.address}
    with httpx.Client(
        base_url=program.url, verify=TLS, trust_env=False, headers=headers, timeout=60
    ) as client:
        yield client


@pytest.fixture
def api_token(behind: Flask) -> str:
    """What the mobile app shows."""
    admin = factories.staff(Role.ADMIN, Person().username, utcnow())
    _, token = api_tokens.create_api_token(
        by=admin,
        name="the app",
        scope=Scope.SIGN_IN,
        expires_at=None,
        origin=factories.device(),
        now=utcnow(),
    )
    return token


def submit(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Fill in the form of a page."""
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get(path).text)
    assert token is not None
    return browser.post(path, data={"csrf_token": token[1]} | fields)


def by_sadhelx(program: Program, browser: httpx.Client, post: Post, person: Person) -> None:
    """Sign up there, and verify by the code."""
    body = {"username": person.username, "email": person.email, "password": PASSWORD}
    assert program.post("/usermgmt/signup", json=body).status_code == 201
    code = {"identity": person.username, "code": post.code_to(person.email)}
    assert program.post("/usermgmt/verify/email", json=code).status_code == 200


def by_okami(program: Program, browser: httpx.Client, post: Post, person: Person) -> None:
    """Sign up there, and press the button behind the link."""
    body = {"email": person.email, "password": PASSWORD}
    assert program.post("/okami/auth/registration", json=body).status_code == 200
    path = post.link_to(person.email).removeprefix(program.url)
    assert submit(browser, path).status_code == 200


def by_sadhelx_and_the_link_of_the_portal(
    program: Program, browser: httpx.Client, post: Post, person: Person
) -> None:
    """Sign up there, and follow the link to the portal's own page."""
    body = {"username": person.username, "email": person.email, "password": PASSWORD}
    assert program.post("/usermgmt/signup", json=body).status_code == 201
    path = post.link_to(person.email).removeprefix(program.url)
    assert submit(browser, path).is_redirect


def kursus(program: Program, email: str, _api_token: str) -> dict[str, Any]:
    """Who kursus says this is."""
    answer = program.post("/v1/login", json={"email": email, "password": PASSWORD})
    token = answer.json()["data"]["token"]
    return dict(jwt.decode(token, options={"verify_signature": False}))


def mobile(program: Program, email: str, api_token: str) -> dict[str, Any]:
    """Who mobile says this is."""
    headers = {
        "mobile-app": "mobile-application",
        "Authorization": api_token,
        "device-id": device(),
    }
    body = {"username": email, "password": PASSWORD}
    token = program.post("/mobile/login", json=body, headers=headers).json()["token"]
    return dict(jwt.decode(token, options={"verify_signature": False}))


def okami(program: Program, email: str, _api_token: str = "") -> dict[str, Any]:
    """Who okami says this is."""
    first = program.post("/okami/auth/sign/in/step1", json={"uuid": str(uuid4())})
    second = program.post(
        "/okami/auth/sign/in/step2",
        json={"email": email, "password": PASSWORD},
        headers={"Secret-Token": first.headers["Secret-Token"]},
    )
    secret = second.headers["Secret-Token"]
    return dict(program.get(f"/okami/auth/sign/in/step3/{secret}").json()["Data"])


def sadhelx(program: Program, email: str, _api_token: str = "") -> dict[str, Any]:
    """Who sadhelx says this is."""
    body = {"identity": email, "password": PASSWORD}
    found = program.post("/usermgmt/login", json=body).json()["data"]
    return dict(found["user"] | found["token"])


@pytest.mark.parametrize("sign_up", [by_sadhelx, by_okami, by_sadhelx_and_the_link_of_the_portal])
def test_whoever_signs_up_in_one_place_signs_in_everywhere(
    program: Program,
    browser: httpx.Client,
    post: Post,
    api_token: str,
    behind: Flask,
    sign_up: Callable[..., None],
) -> None:
    person = Person()
    sign_up(program, browser, post, person)
    account = _account(person)

    assert kursus(program, person.email, api_token)["sub"] == str(account.id)
    assert mobile(program, person.email, api_token)["sub"] == str(account.id)
    assert okami(program, person.email)["user_id"] == account.serial
    assert sadhelx(program, person.email)["user_id"] == str(account.serial)
    signed_in = submit(browser, "/login", identity=person.email, password=PASSWORD)
    assert signed_in.status_code == 303
    assert person.email in browser.get("/account").text


# case 29
@pytest.mark.parametrize("end", ["sign-out", "deactivation"])
def test_what_ends_a_session_ends_the_tokens_of_every_dialect(
    program: Program,
    browser: httpx.Client,
    post: Post,
    api_token: str,
    behind: Flask,
    end: str,
) -> None:
    person = Person()
    by_sadhelx(program, browser, post, person)
    headers = {"mobile-app": "mobile-application", "Authorization": api_token}
    body = {"username": person.email, "password": PASSWORD}
    credentials = {"email": person.email, "password": PASSWORD}
    shown = {
        signed_tokens.KURSUS: program.post("/v1/login", json=credentials).json()["data"]["token"],
        signed_tokens.MOBILE: program.post("/mobile/login", json=body, headers=headers).json()[
            "token"
        ],
        signed_tokens.OKAMI: okami(program, person.email)["user_token"],
        signed_tokens.SADHELX: sadhelx(program, person.email)["token_access"],
    }
    for kind, token in shown.items():
        assert signed_tokens.session_of(token, kind, now=utcnow())

    account = _account(person)
    if end == "deactivation":
        account.deactivated_at = utcnow()
    else:
        sessions.revoke_all_of(account.id, now=utcnow())
    db.session.commit()
    db.session.expunge_all()

    for kind, token in shown.items():
        with pytest.raises(SignInRequired):
            signed_tokens.session_of(token, kind, now=utcnow())


def test_a_password_alone_is_wrong_where_a_second_step_is_set_up(
    program: Program, api_token: str, behind: Flask
) -> None:
    account = factories.staff(Role.VIEWER, Person().username, utcnow())
    account.totp_sealed, account.totp_confirmed_at = b"sealed", utcnow()
    db.session.commit()

    assert _refusals(program, account.email, api_token) == [
        (400, "Email / Password tidak sesuai"),
        (403, "Username Atau Password salah silahkan coba lagi !!!"),
        (401, "Wrong identity or password"),
        (401, "Email or password is wrong"),
    ]


def test_nobody_signs_in_before_the_email_is_confirmed(
    program: Program, api_token: str, behind: Flask
) -> None:
    account = factories.staff(Role.MEMBER, Person().username, utcnow())
    account.confirmed_at = None
    db.session.commit()

    assert _refusals(program, account.email, api_token) == [
        (400, "Akun ini tidak aktif, silahkan hubungi administrator"),
        (403, "Akun Anda Tidak Aktif, Silahkan Hubungi Administrator !!!"),
        (401, "Email unverified"),
        (401, "This account is not active yet, please check your mailbox"),
    ]


# case 36
def test_a_token_of_one_kind_is_no_token_of_another(program: Program, behind: Flask) -> None:
    account = factories.staff(Role.ADMIN, Person().username, utcnow())
    kinds = (
        *(signed_tokens.ADMIN, signed_tokens.KURSUS, signed_tokens.MOBILE),
        *(signed_tokens.SADHELX, signed_tokens.SADHELX_REFRESH),
    )
    now = utcnow()
    shown = {}
    for kind, make in (
        (signed_tokens.ADMIN, signed_tokens.admin),
        (signed_tokens.KURSUS, signed_tokens.kursus),
        (signed_tokens.MOBILE, signed_tokens.mobile),
        (signed_tokens.SADHELX, signed_tokens.sadhelx),
    ):
        session = accounts.start_session(
            account, origin=factories.device(), now=now, dialect=kind.dialect
        )
        shown[kind] = make(session, now=now)

    for kind, token in shown.items():
        for other in kinds:
            assert _opens(token, other) == (kind is other), (kind, other)


def _refusals(program: Program, email: str, api_token: str) -> list[tuple[int, str]]:
    """What each dialect says to the right password of the factories."""
    password = factories.PASSWORD
    first = program.post("/okami/auth/sign/in/step1", json={"uuid": str(uuid4())})
    app = {"mobile-app": "mobile-application", "Authorization": api_token}
    step = {"Secret-Token": first.headers["Secret-Token"]}
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = [
        ("/v1/login", {"email": email}, {}),
        ("/mobile/login", {"username": email}, app),
        ("/usermgmt/login", {"identity": email}, {}),
        ("/okami/auth/sign/in/step2", {"email": email}, step),
    ]
    answers = [
        program.post(path, json=who | {"password": password}, headers=headers)
        for path, who, headers in asked
    ]
    return [(answer.status_code, _message(answer.json())) for answer in answers]


def _message(body: dict[str, Any]) -> str:
    found = body.get("message") or body.get("msg") or body["status"]["message"]
    return str(found)


def _opens(token: str, kind: signed_tokens.Kind) -> bool:
    try:
        signed_tokens.session_of(token, kind, now=utcnow())
    except SignInRequired:
        return False
    return True


def _account(person: Person) -> Account:
    account = accounts.find(person.email)
    assert account is not None
    return account
