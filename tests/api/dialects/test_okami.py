"""The document of the former okami service, example by example and row by row."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts, sessions
from portal.domain.errors import SignInRequired
from portal.domain.tokens import jwt as signed_tokens
from portal.domain.tokens import okami, signing
from portal.extensions import db
from portal.models import Account, Role
from tests import factories
from tests.api.post import Post
from tests.api.programs import TLS, Person, Program
from tests.factories import PASSWORD

pytestmark = pytest.mark.gunicorn

REGISTRATION = "/okami/auth/registration"
STEP1, STEP2, STEP3 = (f"/okami/auth/sign/in/step{number}" for number in (1, 2, 3))
STRONG = "@Testing1"
PLACE = {REGISTRATION: "ValidateRegistration", STEP1: "ValidateStep1", STEP2: "ValidateStep2"}
INVALID = "OAUTH-370001-VALIDATION"


def said(form: str, field: str, tag: str) -> str:
    """How the validator says it."""
    return f"Key: '{form}.{field}' Error:Field validation for '{field}' failed on the '{tag}' tag"


def success(answer: httpx.Response, message: str = "") -> Any:
    """What a success carries, in the document's envelope."""
    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert list(body) == ["timestamp", "status", "Data"]
    assert abs(body["timestamp"] - utcnow().timestamp()) < 300
    assert body["status"] == {"success": True, "code": "", "message": message, "detail": None}
    assert list(body["status"]) == ["success", "code", "message", "detail"]
    return body["Data"]


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message, in the document's envelope."""
    body = answer.json()
    assert list(body) == ["timestamp", "status", "Data"]
    assert isinstance(body["timestamp"], int)
    assert list(body["status"]) == ["success", "code", "message", "detail"]
    assert (body["status"]["success"], body["Data"]) == (False, None)
    place = PLACE.get(answer.request.url.path)
    if place and answer.status_code == 400:
        assert body["status"]["detail"] == ["SignRequest.go", place]
    return answer.status_code, body["status"]["code"], body["status"]["message"]


def register(program: Program, email: str, password: object = STRONG) -> httpx.Response:
    """The document's request."""
    return program.post(REGISTRATION, json={"email": email, "password": password})


def first_step(program: Program, client_id: str = "") -> str:
    """The header that leads to step 2."""
    answer = program.post(STEP1, json={"uuid": client_id or str(uuid4())})
    assert success(answer) is None
    return str(answer.headers["Secret-Token"])


def second_step(program: Program, email: str, password: str, secret: str) -> httpx.Response:
    """Show a password."""
    body = {"email": email, "password": password}
    return program.post(STEP2, json=body, headers={"Secret-Token": secret})


def sign_in(program: Program, email: str, password: str = PASSWORD, client_id: str = "") -> Any:
    """All three steps."""
    answer = second_step(program, email, password, first_step(program, client_id))
    assert success(answer) is None
    return success(program.get(f"{STEP3}/{answer.headers['Secret-Token']}"))


@pytest.fixture
def member(behind: Flask) -> Account:
    """Somebody with an account."""
    return factories.staff(Role.MEMBER, Person().username, utcnow())


class Browser:
    """What opens the link of a mail: it keeps cookies and presses buttons."""

    def __init__(self, address: str) -> None:
        headers = {"X-Forwarded-For": address}
        self.http = httpx.Client(verify=TLS, trust_env=False, headers=headers, timeout=60)

    def open(self, url: str) -> httpx.Response:
        """A page."""
        page = self.http.get(url)
        assert page.headers["Content-Type"].startswith("text/html")
        return page

    def press(self, url: str) -> httpx.Response:
        """The button of the page at this address."""
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.open(url).text)
        assert token is not None
        return self.http.post(url, data={"csrf_token": token[1]})


@pytest.fixture
def browser(program: Program) -> Iterator[Browser]:
    """A browser."""
    browser = Browser(program.address)
    yield browser
    browser.http.close()


def test_the_story_of_the_document(program: Program, post: Post, browser: Browser) -> None:
    email, client_id = Person().email, str(uuid4())

    assert success(register(program, email), "Please check your mailbox") is None
    link = post.link_to(email)
    assert link.startswith(f"{program.url}/okami/auth/active/")
    assert "is active" in browser.press(link).text

    found = sign_in(program, email, STRONG, client_id)
    assert list(found) == [
        *("user_id", "email", "client_id", "status", "sysadmin", "user_token"),
    ]
    assert found["user_id"] > 0
    assert found | {"user_id": 0, "user_token": ""} == {
        "user_id": 0,
        "email": email,
        "client_id": client_id,
        "status": 2,
        "sysadmin": 0,
        "user_token": "",
    }


def test_nobody_signs_in_before_the_activation(program: Program, post: Post) -> None:
    email = Person().email
    register(program, email)

    refused = second_step(program, email, STRONG, first_step(program))

    assert refusal(refused)[:2] == (401, "OAUTH-370002-AUTHENTICATION")
    assert "Secret-Token" not in refused.headers


# case 43
def test_opening_the_link_changes_nothing(
    program: Program, post: Post, browser: Browser, behind: Flask
) -> None:
    email = Person().email
    register(program, email)
    link = post.link_to(email)

    for _ in range(3):
        assert browser.open(link).status_code == 200
        browser.http.head(link)

    account = accounts.find(email)
    assert account is not None
    assert account.confirmed_at is None
    assert browser.press(link).status_code == 200


def test_the_button_works_once(program: Program, post: Post, browser: Browser) -> None:
    email = Person().email
    register(program, email)
    link = post.link_to(email)

    assert browser.press(link).status_code == 200
    assert browser.press(link).status_code == 422
    assert browser.press(f"{program.url}/okami/auth/active/nonsense").status_code == 422


# case 47
def test_a_link_is_sent_again_by_a_button_and_at_most_three_times_an_hour(
    program: Program, post: Post, browser: Browser
) -> None:
    email = Person().email
    register(program, email)
    first = post.link_to(email)
    again = first.replace("/active/", "/active/resend/")

    assert browser.open(again).status_code == 200
    assert len(post.letters_to(email)) == 1
    answers = {browser.press(again).status_code for _ in range(5)}

    assert answers == {200}
    assert len(post.letters_to(email)) == 3
    assert post.link_to(email) != first
    assert "is active" in browser.press(post.link_to(email)).text


def test_a_new_link_for_nobody_looks_the_same(program: Program, browser: Browser) -> None:
    answer = browser.press(f"{program.url}/okami/auth/active/resend/nonsense")

    assert answer.status_code == 200
    assert "on its way" in answer.text


# case 5
def test_an_email_that_is_registered_gets_the_same_answer_and_its_owner_a_mail(
    program: Program, post: Post, member: Account, behind: Flask
) -> None:
    answer = register(program, member.email)

    assert success(answer, "Please check your mailbox") is None
    (letter,) = post.letters_to(member.email)
    assert "already" in letter


def test_nothing_at_all_fails_as_in_the_document(program: Program) -> None:
    expected = "\n".join(
        [
            said("RegistrationForm", "Email", "required"),
            said("RegistrationForm", "Password", "required"),
        ]
    )

    for body in ({}, {"email": "", "password": ""}, [], None, "x", {"email": 1, "password": []}):
        assert refusal(program.post(REGISTRATION, json=body)) == (400, INVALID, expected)
    assert refusal(program.post(REGISTRATION, content=b"{")) == (400, INVALID, expected)


@pytest.mark.parametrize(
    ("password", "tag"),
    [
        ("", "required"),
        ("@Test1", "min"),
        ("@Testing1" + "x" * 12, "max"),
        ("x" * 1024 * 512, "max"),  # case 69
        ("@testing1", "password"),
        ("@TESTING1", "password"),
        ("@Testing", "password"),
        ("Testing12", "password"),
        ("Testing 1", "password"),
        (12345678, "required"),
    ],
)
def test_a_password_fails_on_the_first_tag_it_does_not_satisfy(
    program: Program, password: object, tag: str
) -> None:
    refused = refusal(register(program, Person().email, password))

    assert refused == (400, INVALID, said("RegistrationForm", "Password", tag))


@pytest.mark.parametrize("password", ["@Testin1", "@Testing1" + "x" * 11])
def test_a_password_has_eight_to_twenty_characters(program: Program, password: str) -> None:
    assert success(register(program, Person().email, password), "Please check your mailbox") is None


# case 42
@pytest.mark.parametrize(
    ("email", "tag"),
    [
        ("test", "email"),
        ("a@x,b@y", "email"),
        ("a" * 250 + "@b.de", "max"),
        (["a@b.de"], "required"),
    ],
)
def test_an_email_fails_on_the_first_tag_it_does_not_satisfy(
    program: Program, email: Any, tag: str
) -> None:
    refused = refusal(register(program, email))

    assert refused == (400, INVALID, said("RegistrationForm", "Email", tag))


@pytest.mark.parametrize(
    ("client_id", "tag"),
    [
        ("", "required"),
        (None, "required"),
        ("e074c717", "uuid4_rfc4122"),
        ("c232ab00-9414-11ec-b3c8-9f68deced846", "uuid4_rfc4122"),
        ("e074c717-de06-4ad0-c50f-94de7b19de0a", "uuid4_rfc4122"),
        ("e074c717de064ad0a50f94de7b19de0a", "uuid4_rfc4122"),
        ("e074c717-de06-4ad0-a50f-94de7b19de0a\n", "uuid4_rfc4122"),
    ],
)
def test_step_1_takes_a_uuid_of_version_4_alone(
    program: Program, client_id: object, tag: str
) -> None:
    refused = program.post(STEP1, json={"uuid": client_id})

    assert refusal(refused) == (400, INVALID, said("Step1", "UUID", tag))
    assert "Secret-Token" not in refused.headers


def test_step_2_asks_for_both_fields(program: Program) -> None:
    refused = program.post(STEP2, json={}, headers={"Secret-Token": first_step(program)})
    expected = [said("Step2", "Email", "required"), said("Step2", "Password", "required")]

    assert refusal(refused) == (400, INVALID, "\n".join(expected))


def test_an_unknown_email_and_a_wrong_password_are_answered_alike(
    program: Program, member: Account
) -> None:
    secret = first_step(program)

    wrong = refusal(second_step(program, member.email, "wrong", secret))
    unknown = refusal(second_step(program, Person().email, "wrong", secret))

    assert wrong == unknown
    assert wrong[:2] == (401, "OAUTH-370002-AUTHENTICATION")


def test_step_2_wants_the_header_of_step_1(program: Program, member: Account) -> None:
    done = second_step(program, member.email, PASSWORD, first_step(program))
    for secret in ("", "nonsense", "a.b.c", done.headers["Secret-Token"]):
        refused = second_step(program, member.email, PASSWORD, secret)
        assert refusal(refused)[:2] == (401, "OAUTH-370002-AUTHENTICATION")


def test_step_3_redeems_once(program: Program, member: Account) -> None:
    done = second_step(program, member.email, PASSWORD, first_step(program))
    url = f"{STEP3}/{done.headers['Secret-Token']}"

    assert success(program.get(url))
    assert refusal(program.get(url))[:2] == (401, "OAUTH-370002-AUTHENTICATION")


# case 36
def test_no_secret_stands_for_another(program: Program, member: Account, behind: Flask) -> None:
    found = sign_in(program, member.email)

    for secret in (first_step(program), found["user_token"], "nonsense"):
        assert refusal(program.get(f"{STEP3}/{secret}"))[0] == 401
    with pytest.raises(SignInRequired):
        signed_tokens.session_of(first_step(program), signed_tokens.OKAMI, now=utcnow())


def test_a_secret_is_good_for_ten_minutes(program: Program, behind: Flask) -> None:
    secret = okami.name_client(str(uuid4()), now=utcnow() - timedelta(minutes=11))

    assert refusal(second_step(program, Person().email, STRONG, secret))[0] == 401


def test_whoever_was_deactivated_between_the_steps_stays_out(
    program: Program, member: Account
) -> None:
    done = second_step(program, member.email, PASSWORD, first_step(program))
    member.deactivated_at = utcnow()
    db.session.commit()

    assert refusal(program.get(f"{STEP3}/{done.headers['Secret-Token']}"))[0] == 401
    assert refusal(second_step(program, member.email, PASSWORD, first_step(program)))[0] == 401


def test_the_token_is_that_of_the_document(program: Program, member: Account) -> None:
    client_id = str(uuid4())
    found = sign_in(program, member.email, client_id=client_id)

    header = jwt.get_unverified_header(found["user_token"])
    claims = jwt.decode(found["user_token"], options={"verify_signature": False})
    assert (header["alg"], header["typ"]) == ("HS512", "JWT")
    assert list(claims) == ["cid", "exp", "iat", "iss", "sub"]
    assert (claims["cid"], claims["iss"]) == (client_id, "server")
    assert claims["sub"] == str(found["user_id"])
    assert claims["exp"] - claims["iat"] == 8 * 60 * 60


def test_the_token_carries_a_session_that_can_be_ended(
    program: Program, member: Account, behind: Flask
) -> None:
    token = sign_in(program, member.email)["user_token"]
    other = sign_in(program, member.email)["user_token"]
    named = signed_tokens.session_of(token, signed_tokens.OKAMI, now=utcnow())
    assert (named.account_id, named.dialect) == (member.id, "okami")

    sessions.revoke(named, now=utcnow())
    db.session.commit()

    with pytest.raises(SignInRequired):
        signed_tokens.session_of(token, signed_tokens.OKAMI, now=utcnow())
    assert signed_tokens.session_of(other, signed_tokens.OKAMI, now=utcnow())


# case 36
@pytest.mark.parametrize("change", [{"cid": "another"}, {"sub": "0"}, {"iss": "x"}, {"iat": 1}])
def test_a_token_that_names_no_session_is_refused(
    program: Program, member: Account, behind: Flask, change: dict[str, object]
) -> None:
    token = sign_in(program, member.email)["user_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = signing.sign(claims | change, "HS512", now=utcnow())

    with pytest.raises(SignInRequired):
        signed_tokens.session_of(forged, signed_tokens.OKAMI, now=utcnow())


def test_staff_are_sysadmin(program: Program, behind: Flask) -> None:
    viewer = factories.staff(Role.VIEWER, Person().username, utcnow())

    assert sign_in(program, viewer.email)["sysadmin"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", STEP1, 405), ("GET", REGISTRATION, 405), ("POST", "/okami/auth/sign/x", 404)],
)
def test_what_is_not_there_is_answered_in_the_dialect(
    program: Program, method: str, path: str, status: int
) -> None:
    assert refusal(program.ask(method, path))[0] == status
