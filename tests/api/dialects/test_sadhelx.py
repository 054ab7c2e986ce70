"""The document of the former sadhelx service, example by example and row by row."""

from io import BytesIO
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image

from portal.clock import utcnow
from portal.domain.errors import SignInRequired
from portal.domain.tokens import jwt as signed_tokens
from portal.extensions import db
from portal.models import Account, Role, Session
from tests import factories
from tests.api.post import Post
from tests.api.programs import Person, Program
from tests.factories import PASSWORD

pytestmark = pytest.mark.gunicorn

BASE = "/usermgmt"
LOGIN, REFRESH, SIGNUP = f"{BASE}/login", f"{BASE}/refresh-token", f"{BASE}/signup"
ASK, EXCHANGE = f"{BASE}/get-password-reset-code", f"{BASE}/verify/password-reset"
UPLOAD, STORAGE = f"{BASE}/avatar-upload", f"{BASE}/avatar-storage"
NEW_PASSWORD = "passwordbaru"
BAD_TOKEN = (401, "Token is invalid or has expired")
BAD_CODE = (401, "Code is invalid or has expired")


def success(answer: httpx.Response, message: str, status: int = 200) -> Any:
    """What a success carries, in the document's envelope."""
    body = answer.json()
    assert (answer.status_code, body["status"], body["msg"]) == (status, True, message)
    assert list(body) in (["status", "msg"], ["status", "msg", "data"])
    return body.get("data")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and message, in the document's envelope."""
    body = answer.json()
    assert list(body) == ["status", "msg"], answer.text
    assert body["status"] is False
    return answer.status_code, body["msg"]


def signup_of(person: Person, **changes: object) -> dict[str, object]:
    """The document's body, but for who it is."""
    return {
        "username": person.username,
        "email": person.email,
        "firstname": "this firsname",
        "lastname": "this lastname",
        "password": PASSWORD,
        "phonenumber": "008070898742",
    } | changes


def login(program: Program, identity: str, password: str = PASSWORD) -> Any:
    """What signing in gives."""
    body = {"identity": identity, "password": password}
    return success(program.post(LOGIN, json=body), "Login successfull")


def renew(program: Program, token: str, identity: str) -> httpx.Response:
    """The document's request for another access token."""
    headers = {"Authorization": f"Bearer {token}"}
    return program.post(REFRESH, json={"identity": identity}, headers=headers)


def picture(kind: str = "PNG", size: tuple[int, int] = (600, 400)) -> bytes:
    """A picture."""
    buffer = BytesIO()
    Image.new("RGB", size, "teal").save(buffer, kind)
    return buffer.getvalue()


def upload(
    program: Program, token: str, identity: str, content: bytes, name: str = "me.png"
) -> httpx.Response:
    """The document's multipart form."""
    return program.ask(
        "PUT",
        UPLOAD,
        data={"identity": identity},
        files={"avatar": (name, content, "image/png")},
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )


@pytest.fixture
def member(behind: Flask) -> Account:
    """Somebody with an account."""
    return factories.staff(Role.MEMBER, Person().username, utcnow())


@pytest.fixture
def access(program: Program, member: Account) -> str:
    """The member's access token."""
    return str(login(program, member.email)["token"]["token_access"])


def test_the_story_of_the_document(program: Program, post: Post) -> None:
    person = Person()
    name, email = person.username, person.email

    assert success(program.get(f"{BASE}/check-username/{name}"), "User available") is None
    assert success(program.get(f"{BASE}/check-email/{email}"), "Email available") is None
    signed_up = program.post(SIGNUP, json=signup_of(person))
    assert success(signed_up, "Success creating user", 201) is None
    assert refusal(program.post(LOGIN, json={"identity": name, "password": PASSWORD})) == (
        401,
        "Email unverified",
    )
    code = {"identity": email, "code": post.code_to(email)}
    assert success(program.post(f"{BASE}/verify/mail", json=code), "User email verified") is None

    found = login(program, name)
    assert list(found) == ["user", "token"]
    assert list(found["user"]) == ["user_id", "username", "email"]
    assert found["user"]["user_id"].isdigit()
    assert (found["user"]["username"], found["user"]["email"]) == (name, email)
    assert list(found["token"]) == ["token_access", "token_refresh"]

    renewed = success(
        renew(program, found["token"]["token_refresh"], email),
        "Access token successfull generated",
    )
    assert renewed["token"]["token_access"]

    asked = program.post(ASK, json={"identity": email})
    assert success(asked, "Password reset code has been sent to email") is None
    code = {"identity": email, "code": post.code_to(email)}
    exchanged = success(program.post(EXCHANGE, json=code), "Password reset code verified")
    body = {
        "identity": email,
        "password": NEW_PASSWORD,
        "password_re": NEW_PASSWORD,
        "code": exchanged["code"],
    }
    changed = program.ask("PUT", f"{BASE}/reset-password", json=body)
    assert success(changed, "Password has been updated") is None

    token = login(program, email, NEW_PASSWORD)["token"]["token_access"]
    saved = success(upload(program, token, email, picture()), "Avatar has been saved", 201)
    shown = httpx.get(f"{program.url}{STORAGE}/{saved['image_file']}", trust_env=False)
    assert shown.headers["Content-Type"] == "image/webp"
    assert Image.open(BytesIO(shown.content)).size == (512, 512)


def test_a_username_and_an_email_can_be_taken(program: Program, member: Account) -> None:
    name, email = member.username.upper(), member.email.upper()

    taken = (409, "User has already been taken")
    assert refusal(program.get(f"{BASE}/check-username/{name}")) == taken
    assert refusal(program.post(SIGNUP, json=signup_of(Person(), username=name))) == taken
    taken = (409, "Email has already been taken")
    assert refusal(program.get(f"{BASE}/check-email/{email}")) == taken
    assert refusal(program.post(SIGNUP, json=signup_of(Person(), email=email))) == taken


@pytest.mark.parametrize(
    "path", ["check-username/a b", "check-email/nobody", "check-email/a@x,b@y"]
)
def test_what_cannot_be_a_name_is_bad_input(program: Program, path: str) -> None:
    assert refusal(program.get(f"{BASE}/{path}"))[0] == 400


def test_checks_are_limited_for_each_address(program: Program) -> None:
    answers = [program.get(f"{BASE}/check-username/{uuid4().hex[:8]}") for _ in range(60)]
    assert {answer.status_code for answer in answers} == {200}

    refused = program.get(f"{BASE}/check-email/{Person().email}")
    assert refusal(refused) == (429, "Too many requests, please try again later")
    assert int(refused.headers["Retry-After"]) > 0
    assert Program(program.url).get(f"{BASE}/check-username/somebody").status_code == 200


@pytest.mark.parametrize("field", ["username", "email", "password"])
@pytest.mark.parametrize("value", [None, "", 1, ["x"]])
def test_signing_up_needs_three_fields(program: Program, field: str, value: object) -> None:
    refused = program.post(SIGNUP, json=signup_of(Person(), **{field: value}))

    assert refusal(refused)[0] == 400


def test_signing_up_needs_no_more_than_three_fields(program: Program) -> None:
    body = signup_of(Person())
    for field in ("firstname", "lastname", "phonenumber"):
        del body[field]

    assert program.post(SIGNUP, json=body).status_code == 201


@pytest.mark.parametrize(
    "changes",
    [{"email": "email4"}, {"password": "short"}, {"password": "x" * 2000}, {"phonenumber": "x"}],
)
def test_what_cannot_be_is_bad_input(program: Program, changes: dict[str, object]) -> None:
    assert refusal(program.post(SIGNUP, json=signup_of(Person(), **changes)))[0] == 400


# case 61
def test_nobody_makes_themselves_more_than_a_member(program: Program, behind: Flask) -> None:
    person = Person()
    more = {"role": "owner", "verified": True, "confirmed_at": "2020-01-01", "user_id": "1"}

    assert program.post(SIGNUP, json=signup_of(person, **more)).status_code == 201

    account = db.session.scalars(sa.select(Account).where(Account.email == person.email)).one()
    assert (account.role, account.confirmed_at) == (Role.MEMBER, None)


def test_an_unknown_identity_and_a_wrong_password_are_answered_alike(
    program: Program, member: Account
) -> None:
    bodies = [
        {"identity": member.email, "password": "wrong"},
        {"identity": member.username, "password": "wrong"},
        {"identity": Person().email, "password": "wrong"},
    ]

    answers = {refusal(program.post(LOGIN, json=body)) for body in bodies}
    assert answers == {(401, "Wrong identity or password")}


@pytest.mark.parametrize("path", [LOGIN, ASK, EXCHANGE, SIGNUP, f"{BASE}/verify/mail"])
@pytest.mark.parametrize("body", [{}, [], None, {"identity": 1}])
def test_a_body_without_its_fields_is_bad_input(program: Program, path: str, body: object) -> None:
    assert refusal(program.post(path, json=body))[0] == 400


def test_both_names_of_a_path_are_served(program: Program, member: Account) -> None:
    code = {"identity": member.email, "code": "00000000"}
    for path in ("verify/mail", "verify/email"):
        assert refusal(program.post(f"{BASE}/{path}", json=code)) == BAD_CODE
    body = code | {"password": NEW_PASSWORD, "password_re": NEW_PASSWORD}
    for path in ("reset-password", "password-reset"):
        assert refusal(program.ask("PUT", f"{BASE}/{path}", json=body)) == BAD_CODE


def test_the_tokens_say_what_those_of_the_document_say(program: Program, member: Account) -> None:
    found = login(program, member.email)
    access, refresh = (
        jwt.decode(token, options={"verify_signature": False}) for token in found["token"].values()
    )

    for token in found["token"].values():
        header = jwt.get_unverified_header(token)
        assert (header["alg"], header["typ"]) == ("HS256", "JWT")
    assert str(access["UserID"]) == str(refresh["UserID"]) == found["user"]["user_id"]
    assert (access["KeyType"], refresh["KeyType"]) == ("access", "refresh")
    assert access["iss"] == refresh["iss"] == "sadlex.auth.service"
    assert len(refresh["CustomKey"]) == 64
    assert access["exp"] > utcnow().timestamp()


# case 36
def test_an_access_token_does_not_refresh_and_a_refresh_token_does_not_open(
    program: Program, member: Account
) -> None:
    tokens = login(program, member.email)["token"]

    assert refusal(renew(program, tokens["token_access"], member.email)) == BAD_TOKEN
    refused = upload(program, tokens["token_refresh"], member.email, picture())
    assert refusal(refused) == BAD_TOKEN


def test_a_refresh_token_gives_out_the_next_one(program: Program, member: Account) -> None:
    token = login(program, member.email)["token"]["token_refresh"]

    for _ in range(3):
        message = "Access token successfull generated"
        found = success(renew(program, token, member.username), message)["token"]
        assert list(found) == ["token_access", "token_refresh"]
        assert found["token_refresh"] != token
        token = found["token_refresh"]


# case 40
def test_a_replayed_refresh_token_ends_the_whole_session(program: Program, member: Account) -> None:
    first = login(program, member.email)["token"]
    second = renew(program, first["token_refresh"], member.email).json()["data"]["token"]

    assert refusal(renew(program, first["token_refresh"], member.email)) == BAD_TOKEN

    assert refusal(renew(program, second["token_refresh"], member.email)) == BAD_TOKEN
    for token in (first["token_access"], second["token_access"]):
        assert refusal(upload(program, token, member.email, picture())) == BAD_TOKEN


def test_a_refresh_token_is_for_its_own_identity(program: Program, member: Account) -> None:
    token = login(program, member.email)["token"]["token_refresh"]

    assert refusal(renew(program, token, Person().email)) == BAD_TOKEN
    assert renew(program, token, member.email).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic YTpi"])
def test_refreshing_needs_a_token(program: Program, member: Account, header: str) -> None:
    headers = {"Authorization": header}

    refused = program.post(REFRESH, json={"identity": member.email}, headers=headers)
    assert refusal(refused) == BAD_TOKEN


# case 5
def test_asking_for_a_code_tells_nobody_who_is_there(
    program: Program, post: Post, member: Account
) -> None:
    known = program.post(ASK, json={"identity": member.email})
    unknown = program.post(ASK, json={"identity": Person().email})

    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert len(post.letters_to(member.email)) == 1


# case 47
def test_a_mailbox_gets_three_codes_an_hour(program: Program, post: Post, member: Account) -> None:
    answers = {
        Program(program.url).post(ASK, json={"identity": member.email}).status_code
        for _ in range(6)
    }

    assert answers == {200}
    assert len(post.letters_to(member.email)) == 3


def test_a_code_of_letters_is_eight_long_and_good_once(
    program: Program, post: Post, member: Account
) -> None:
    program.post(ASK, json={"identity": member.email})
    code = post.code_to(member.email)
    body = {"identity": member.username, "code": code.lower()}

    assert len(code) == 8
    assert program.post(EXCHANGE, json=body).status_code == 200
    assert refusal(program.post(EXCHANGE, json=body)) == BAD_CODE


# case 45
def test_the_mailed_code_alone_sets_no_password(
    program: Program, post: Post, member: Account
) -> None:
    program.post(ASK, json={"identity": member.email})
    body = {
        "identity": member.email,
        "code": post.code_to(member.email),
        "password": NEW_PASSWORD,
        "password_re": NEW_PASSWORD,
    }

    assert refusal(program.ask("PUT", f"{BASE}/reset-password", json=body)) == BAD_CODE


# case 45
def test_a_code_is_for_its_own_account(
    program: Program, post: Post, member: Account, behind: Flask
) -> None:
    other = factories.staff(Role.MEMBER, Person().username, utcnow())
    program.post(ASK, json={"identity": member.email})

    body = {"identity": other.email, "code": post.code_to(member.email)}
    assert refusal(program.post(EXCHANGE, json=body)) == BAD_CODE


def test_five_wrong_tries_use_a_code_up(program: Program, post: Post, member: Account) -> None:
    program.post(ASK, json={"identity": member.email})
    body = {"identity": member.email, "code": post.code_to(member.email)}
    for number in range(5):
        wrong = body | {"code": f"0000000{number}"}
        assert refusal(program.post(EXCHANGE, json=wrong)) == BAD_CODE

    assert refusal(program.post(EXCHANGE, json=body)) == BAD_CODE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"password_re": "another"}, "Passwords do not match"),
        ({"password": "short", "password_re": "short"}, "A password has at least 7 characters."),
    ],
)
def test_a_new_password_is_the_same_twice_and_strong(
    program: Program, member: Account, changes: dict[str, str], message: str
) -> None:
    body = {
        "identity": member.email,
        "code": "CKTO",
        "password": NEW_PASSWORD,
        "password_re": NEW_PASSWORD,
    }

    refused = program.ask("PUT", f"{BASE}/reset-password", json=body | changes)
    assert refusal(refused) == (400, message)


def test_a_reset_ends_every_session(
    program: Program, post: Post, member: Account, access: str
) -> None:
    program.post(ASK, json={"identity": member.email})
    code = {"identity": member.email, "code": post.code_to(member.email)}
    exchanged = program.post(EXCHANGE, json=code).json()["data"]["code"]
    body = {
        "identity": member.email,
        "code": exchanged,
        "password": NEW_PASSWORD,
        "password_re": NEW_PASSWORD,
    }

    assert program.ask("PUT", f"{BASE}/password-reset", json=body).status_code == 200

    assert refusal(upload(program, access, member.email, picture())) == BAD_TOKEN
    assert refusal(program.ask("PUT", f"{BASE}/password-reset", json=body)) == BAD_CODE
    living = sa.select(Session).where(Session.account_id == member.id, Session.revoked_at.is_(None))
    assert db.session.scalars(living).all() == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_shown_by_the_name_it_was_given(
    program: Program, member: Account, access: str, kind: str
) -> None:
    saved = upload(program, access, member.email, picture(kind)).json()["data"]
    url = f"{program.url}{STORAGE}/{saved['image_file']}"

    shown = httpx.get(url, trust_env=False)
    small = httpx.get(url.replace(".webp", "-96.webp"), trust_env=False)

    assert Image.open(BytesIO(small.content)).size == (96, 96)
    assert "immutable" in shown.headers["Cache-Control"]
    # case 52
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]


def test_an_upload_needs_the_token_of_that_same_identity(
    program: Program, member: Account, access: str, behind: Flask
) -> None:
    other = factories.staff(Role.MEMBER, Person().username, utcnow())

    assert refusal(upload(program, "", member.email, picture())) == BAD_TOKEN
    assert refusal(upload(program, "nonsense", member.email, picture())) == BAD_TOKEN
    assert refusal(upload(program, access, other.email, picture())) == BAD_TOKEN
    assert refusal(upload(program, access, "", picture())) == BAD_TOKEN


# cases 49, 51
@pytest.mark.parametrize(
    "content",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"GIF89a" + b"\0" * 50],
)
@pytest.mark.parametrize("name", ["me.png", "../../me.png", "x" * 300 + ".png"])
def test_what_is_no_picture_is_bad_input(
    program: Program, member: Account, access: str, content: bytes, name: str
) -> None:
    assert refusal(upload(program, access, member.email, content, name))[0] == 400


def test_an_upload_without_a_picture_is_bad_input(
    program: Program, member: Account, access: str
) -> None:
    headers = {"Authorization": f"Bearer {access}"}

    refused = program.ask("PUT", UPLOAD, data={"identity": member.email}, headers=headers)
    assert refusal(refused)[0] == 400


@pytest.mark.parametrize("size", [6_000_000, 20_000_000])
def test_a_file_that_is_too_large_is_refused(
    program: Program, member: Account, access: str, size: int
) -> None:
    assert refusal(upload(program, access, member.email, b"\x89PNG" + b"x" * size))[0] in {400, 413}


@pytest.mark.parametrize("name", ["nobody.webp", "0" * 64 + ".webp", "..%2F..%2Fsecret", "a.png"])
def test_a_picture_that_is_not_there_is_not_found(program: Program, name: str) -> None:
    assert refusal(program.get(f"{STORAGE}/{name}")) == (404, "Not found")


def test_a_deactivated_account_is_out_at_once(
    program: Program, member: Account, access: str
) -> None:
    member.deactivated_at = utcnow()
    db.session.commit()

    assert refusal(upload(program, access, member.email, picture())) == BAD_TOKEN
    body = {"identity": member.email, "password": PASSWORD}
    assert refusal(program.post(LOGIN, json=body)) == (401, "User has been deactivated")


def test_a_token_of_sadhelx_is_no_admins_token(program: Program, behind: Flask) -> None:
    admin = factories.staff(Role.ADMIN, Person().username, utcnow())
    access = login(program, admin.email)["token"]["token_access"]
    headers = {"Authorization": f"Bearer {access}"}

    assert program.get("/api/v1/admin/invitation/history", headers=headers).status_code == 401
    with pytest.raises(SignInRequired):
        signed_tokens.session_of(access, signed_tokens.MOBILE, now=utcnow())


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", LOGIN, 405), ("POST", f"{BASE}/x", 404)]
)
def test_what_is_not_there_is_answered_in_the_dialect(
    program: Program, method: str, path: str, status: int
) -> None:
    assert refusal(program.ask(method, path))[0] == status
