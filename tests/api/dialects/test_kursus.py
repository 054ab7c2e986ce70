"""The document of the former course service, example by example and row by row."""

import re
import shlex
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import sessions
from portal.domain.errors import SignInRequired
from portal.domain.tokens import jwt as signed_tokens
from portal.domain.tokens import signing
from portal.extensions import db
from portal.models import Account, Role
from tests import factories
from tests.api.programs import Person, Program
from tests.factories import PASSWORD

pytestmark = pytest.mark.gunicorn

LOGIN = "/v1/login"
# The document's request to the letter, but for who signs in.
CURL = """curl --location '{{base_url}}/v1/login' \
--header 'Content-Type: application/json' \
--data-raw '{
    "email": "EMAIL",
    "password": "PASSWORD"
}'"""
MISSING = {
    "status": False,
    "message": "Email dan Password tidak boleh kosong",
    "error_code": "ERR",
}
WRONG = {"status": False, "message": "Email / Password tidak sesuai", "error_code": "ERR"}
INACTIVE = {
    "status": False,
    "message": "Akun ini tidak aktif, silahkan hubungi administrator",
    "error_code": "ERR",
}


@pytest.fixture
def member(behind: Flask) -> Account:
    """Somebody with an account."""
    account = factories.staff(Role.MEMBER, Person().username, utcnow())
    account.first_name, account.last_name = "Febry", "Makcik"
    db.session.commit()
    return account


def curl(url: str, email: str, password: str) -> httpx.Response:
    """Send what the document's curl would send."""
    words = shlex.split(CURL.replace("EMAIL", email).replace("PASSWORD", password))
    name, _, value = words[words.index("--header") + 1].partition(": ")
    return httpx.post(
        words[words.index("--location") + 1].replace("{{base_url}}", url),
        content=words[words.index("--data-raw") + 1],
        headers={name: value},
        trust_env=False,
    )


def credentials(member: Account, **changes: object) -> dict[str, object]:
    """The document's body."""
    return {"email": member.email, "password": PASSWORD} | changes


def sign_in(program: Program, member: Account) -> dict[str, Any]:
    """What a success carries."""
    answer = program.post(LOGIN, json=credentials(member))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def verified(program: Program, token: str) -> dict[str, Any]:
    """The claims, as any service checks them that knows the JWK set alone."""
    keys = jwt.PyJWKSet.from_dict(program.get("/.well-known/jwks.json").json())
    kid = jwt.get_unverified_header(token)["kid"]
    return dict(jwt.decode(token, keys[kid].key, ["RS256"], audience="portal", issuer="apps1.0"))


def test_the_example_of_the_document_runs_as_it_stands(service: str, member: Account) -> None:
    answer = curl(service, member.email, PASSWORD)

    assert answer.status_code == 200
    assert re.fullmatch(
        r'\{"status":true,"data":\{"token":"[^"]+","type":"internal","expired_at":"[^"]+"\}\}\s*',
        answer.text,
    )
    assert curl(service, member.email, "wrong").json() == WRONG


def test_the_token_is_good_for_a_day(program: Program, member: Account) -> None:
    found = sign_in(program, member)

    ends = datetime.fromisoformat(found["expired_at"])
    assert found["expired_at"].endswith("Z")
    assert abs(ends - utcnow() - timedelta(hours=24)) < timedelta(minutes=5)
    assert verified(program, found["token"])["exp"] == int(ends.timestamp())


def test_the_claims_are_those_of_the_document(program: Program, member: Account) -> None:
    claims = verified(program, sign_in(program, member)["token"])

    fields = ["email", "exp", "iat", "jti", "name", "sub", "iss", "aud"]
    assert list(claims) == [*fields, "email_verified"]
    assert claims["email"] == member.email
    assert claims["name"] == "Febry Makcik"
    assert claims["sub"] == str(member.id)


def test_the_header_names_algorithm_and_key(program: Program, member: Account) -> None:
    header = jwt.get_unverified_header(sign_in(program, member)["token"])

    assert header.keys() == {"alg", "typ", "kid"}
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")


def test_the_token_carries_a_session_that_can_be_ended(program: Program, member: Account) -> None:
    token = sign_in(program, member)["token"]
    named = signed_tokens.session_of(token, signed_tokens.KURSUS, now=utcnow())
    assert named.account_id == member.id

    sessions.revoke_all_of(member.id, now=utcnow())
    db.session.commit()
    db.session.expire_all()

    with pytest.raises(SignInRequired):
        signed_tokens.session_of(token, signed_tokens.KURSUS, now=utcnow())


# case 36
def test_the_token_opens_nothing_else(program: Program, behind: Flask) -> None:
    admin = factories.staff(Role.ADMIN, Person().username, utcnow())
    token = sign_in(program, admin)["token"]
    headers = {"Authorization": f"Bearer {token}"}

    assert program.get("/api/v1/admin/invitation/history", headers=headers).status_code == 401
    for kind in (signed_tokens.ADMIN, signed_tokens.MOBILE, signed_tokens.SADHELX):
        with pytest.raises(SignInRequired):
            signed_tokens.session_of(token, kind, now=utcnow())


# case 36
@pytest.mark.parametrize("change", [{"aud": "others"}, {"iss": "others"}, {"jti": "no id"}])
def test_a_token_for_others_is_refused(
    program: Program, member: Account, change: dict[str, str]
) -> None:
    claims = verified(program, sign_in(program, member)["token"])
    token = signing.sign(claims | change, "RS256", now=utcnow())

    with pytest.raises(SignInRequired):
        signed_tokens.session_of(token, signed_tokens.KURSUS, now=utcnow())


@pytest.mark.parametrize("email", ["", None, 1, ["a@b.de"], {}, "febry", "a@x,b@y", "a" * 300])
def test_an_email_that_is_none_is_missing(program: Program, member: Account, email: object) -> None:
    refused = program.post(LOGIN, json=credentials(member, email=email))  # case 42

    assert (refused.status_code, refused.json()) == (400, MISSING)


@pytest.mark.parametrize("password", ["", None, 1, ["x"], "x" * 2**20])
def test_a_password_that_is_none_is_missing(
    program: Program, member: Account, password: object
) -> None:
    refused = program.post(LOGIN, json=credentials(member, password=password))  # case 69

    assert refused.status_code in {400, 413}
    if refused.status_code == 400:
        assert refused.json() == MISSING


@pytest.mark.parametrize("field", ["email", "password"])
def test_a_missing_field_is_missing(program: Program, member: Account, field: str) -> None:
    sent = credentials(member)
    del sent[field]
    refused = program.post(LOGIN, json=sent)

    assert (refused.status_code, refused.json()) == (400, MISSING)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"email":'])
def test_a_body_that_is_none_is_missing(program: Program, content: bytes) -> None:
    refused = program.post(LOGIN, content=content, headers={"Content-Type": "application/json"})

    assert (refused.status_code, refused.json()) == (400, MISSING)


def test_an_unknown_email_and_a_wrong_password_are_answered_alike(
    program: Program, member: Account
) -> None:
    wrong = program.post(LOGIN, json=credentials(member, password="makcik"))
    unknown = program.post(LOGIN, json=credentials(member, email=Person().email))

    assert (wrong.status_code, wrong.json()) == (400, WRONG)
    assert wrong.content == unknown.content
    assert unknown.status_code == 400


def test_a_username_is_no_email(program: Program, member: Account) -> None:
    refused = program.post(LOGIN, json=credentials(member, email=member.username))

    assert (refused.status_code, refused.json()) == (400, MISSING)


def test_a_deactivated_account_is_told_so_by_the_right_password_alone(
    program: Program, member: Account
) -> None:
    member.deactivated_at = utcnow()
    db.session.commit()

    refused = program.post(LOGIN, json=credentials(member))
    wrong = program.post(LOGIN, json=credentials(member, password="makcik"))

    assert (refused.status_code, refused.json()) == (400, INACTIVE)
    assert (wrong.status_code, wrong.json()) == (400, WRONG)


def test_a_name_that_is_guessed_at_rests_for_a_while(program: Program, member: Account) -> None:
    for _ in range(10):
        program.post(LOGIN, json=credentials(member, password="guess"))

    refused = program.post(LOGIN, json=credentials(member))

    assert refused.status_code == 429
    assert refused.json() == {
        "status": False,
        "message": "Terlalu banyak percobaan, silahkan coba lagi nanti",
        "error_code": "ERR",
    }
    assert 0 < int(refused.headers["Retry-After"]) <= 1800


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", LOGIN, 405), ("POST", "/v1/x", 404)]
)
def test_what_is_not_there_is_answered_in_the_dialect(
    program: Program, method: str, path: str, status: int
) -> None:
    refused = program.ask(method, path)

    assert refused.status_code == status
    assert list(refused.json()) == ["status", "message", "error_code"]


def test_staff_may_sign_in_as_well(program: Program, behind: Flask) -> None:
    admin = factories.staff(Role.ADMIN, Person().username, utcnow())

    assert verified(program, sign_in(program, admin)["token"])["name"] == admin.username


def test_the_public_keys_are_served_as_a_set(program: Program) -> None:
    (key, *_) = program.get("/.well-known/jwks.json").json()["keys"]

    assert key.keys() == {"kty", "use", "alg", "kid", "n", "e"}
    assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
