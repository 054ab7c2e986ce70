"""The admin's JWT: whose keys open it, and what ends it at once."""

import hmac
import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.tokens import signing
from portal.extensions import db
from portal.models import Account, Role, Session
from tests.api.conftest import CONTRACT
from tests.api.programs import ADMIN, INVITATION, Person, Program, admin, data, refusal, sign_in
from tests.servers import serve

pytestmark = pytest.mark.gunicorn

HISTORY = f"{INVITATION}/history"
UNAUTHORIZED = (401, "unauthorized")
OLD_SECRET, NEW_SECRET = "the old secret of the tests" * 2, "the new secret of the tests" * 2


@pytest.fixture
def claims(alice: Program) -> dict[str, Any]:
    """What Alice's token says."""
    return dict(jwt.decode(alice.token, options={"verify_signature": False}))


@pytest.fixture
def header(alice: Program) -> dict[str, Any]:
    """What the token says about itself."""
    return dict(jwt.get_unverified_header(alice.token))


def sign(claims: dict[str, Any], header: dict[str, Any], key: bytes | None = None) -> str:
    """A token under the portal's own key (in an application context), or under another."""
    return jwt.encode(claims, key or current_key(), "HS256", headers=header)


def current_key() -> bytes:
    """The portal's own key (in an application context)."""
    return signing.key_in_use("HS256", now=utcnow()).secret


def by_hand(header: dict[str, Any], claims: dict[str, Any], key: bytes = b"") -> str:
    """A token that no library would write, under an HMAC by `key`."""
    parts = [_base64(json.dumps(part).encode()) for part in (header, claims)]
    signature = hmac.digest(key, ".".join(parts).encode(), sha256) if key else b""
    return ".".join([*parts, _base64(signature)])


def is_refused(alice: Program, token: str) -> bool:
    """Whether this token opens nothing."""
    headers = {"Authorization": f"Bearer {token}"}
    return refusal(alice.get(HISTORY, headers=headers)) == UNAUTHORIZED


def test_a_token_signed_by_hand_with_our_own_key_is_good(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """Else the refusals below would prove nothing."""
    headers = {"Authorization": f"Bearer {sign(claims, header)}"}

    assert data(alice.get(HISTORY, headers=headers))
    written = by_hand(header, claims, current_key())
    assert data(alice.get(HISTORY, headers={"Authorization": f"Bearer {written}"}))


# case 35
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_without_a_signature_is_refused(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any], alg: str
) -> None:
    unsigned = by_hand(header | {"alg": alg}, claims)
    signature = alice.token.rpartition(".")[2]

    assert is_refused(alice, unsigned)
    assert is_refused(alice, unsigned + signature)
    assert is_refused(alice, alice.token.removesuffix(signature))


# case 35
def test_a_public_key_is_no_secret(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    pair = generate_private_key(65537, 2048)
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    assert is_refused(alice, by_hand(header, claims, public))
    assert is_refused(alice, by_hand(header | {"alg": "RS256"}, claims, current_key()))
    assert is_refused(alice, jwt.encode(claims, pair, "RS256", headers={"kid": header["kid"]}))


# case 35
@pytest.mark.parametrize("alg", ["HS384", "HS512", "hs256", "ES256", "EdDSA", None, 256])
def test_another_algorithm_is_refused_even_under_our_key(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any], alg: object
) -> None:
    assert is_refused(alice, by_hand(header | {"alg": alg}, claims, current_key()))


# case 35
@pytest.mark.parametrize(
    "kid", ["", "0" * 16, "../../dev/null", "' UNION SELECT 'key", None, 1, ["a"], {"a": "b"}]
)
def test_a_foreign_kid_is_refused(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any], kid: object
) -> None:
    key = current_key()

    assert is_refused(alice, by_hand(header | {"kid": kid}, claims, key))
    assert is_refused(alice, by_hand(header | {"kid": kid}, claims, b"\0"))


# case 35
def test_a_token_without_a_kid_is_refused(
    alice: Program, behind: Flask, claims: dict[str, Any]
) -> None:
    assert is_refused(alice, by_hand({"alg": "HS256"}, claims, current_key()))


# case 35
@pytest.mark.parametrize("field", ["jku", "x5u", "jwk", "x5c"])
def test_a_key_that_a_token_brings_along_is_not_looked_at(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any], field: str
) -> None:
    key = b"a key of the attacker's own making, and a long one"
    brought = {
        "jku": "http://127.0.0.1:9/keys.json",
        "x5u": "http://127.0.0.1:9/key.pem",
        "jwk": {"kty": "oct", "k": _base64(key), "kid": header["kid"]},
        "x5c": [_base64(key)],
    }

    assert is_refused(alice, by_hand(header | {field: brought[field]}, claims, key))
    assert is_refused(alice, by_hand({"alg": "HS256", field: brought[field]}, claims, key))


# case 35
@pytest.mark.parametrize("critical", [["exp"], ["b64"], [], "exp", None])
def test_a_token_that_wants_something_understood_is_refused(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any], critical: object
) -> None:
    asking = header | {"crit": critical, "b64": True}

    assert is_refused(alice, by_hand(asking, claims, current_key()))


# case 36
@pytest.mark.parametrize(
    "change",
    [
        {"iss": "apps2.0"},
        {"iss": ""},
        {"iss": ["apps1.0"]},
        {"aud": "another service"},
        {"jti": "not an id"},
        {"jti": str(uuid4())},
        {"exp": None},
        {"iss": None},
        {"jti": None},
        {"id": None},
    ],
)
def test_a_token_for_something_else_is_refused(
    alice: Program,
    behind: Flask,
    claims: dict[str, Any],
    header: dict[str, Any],
    change: dict[str, object],
) -> None:
    changed = {name: value for name, value in (claims | change).items() if value is not None}

    assert is_refused(alice, by_hand(header, changed, current_key()))


@pytest.mark.parametrize(
    "token", ["a", "a.b", "a.b.c", "a.b.c.d", "..", "e30.e30.e30", "inv_", "inv_" + "a" * 43]
)
def test_what_is_no_token_is_refused(alice: Program, token: str) -> None:
    assert is_refused(alice, token)


def test_a_header_that_nests_too_deeply_is_refused(alice: Program) -> None:
    assert is_refused(alice, _base64(b"[" * 5500) + ".e30.e30")
    assert is_refused(alice, _base64(b'{"a":' * 1000 + b"1" + b"}" * 1000) + ".e30.e30")


@pytest.mark.parametrize("place", range(3))
def test_a_changed_token_is_refused(alice: Program, place: int) -> None:
    parts = alice.token.split(".")
    middle = len(parts[place]) // 2
    other = "A" if parts[place][middle] != "A" else "B"
    parts[place] = parts[place][:middle] + other + parts[place][middle + 1 :]

    assert is_refused(alice, ".".join(parts))


# case 37
def test_a_token_is_good_for_thirty_seconds_after_its_end_and_no_longer(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    now = utcnow()

    for late, is_good in ((10, True), (31, False), (3600, False)):
        end = now - timedelta(seconds=late)
        token = sign(claims | {"exp": int(end.timestamp())}, header)
        answer = alice.get(HISTORY, headers={"Authorization": f"Bearer {token}"})
        assert answer.is_success == is_good, late


# case 37
def test_a_token_ends_with_its_session_whatever_it_says(
    alice: Program, behind: Flask, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    forever = sign(claims | {"exp": claims["exp"] + 10**9}, header)
    headers = {"Authorization": f"Bearer {forever}"}
    assert data(alice.get(HISTORY, headers=headers))

    _end_session(claims, before=timedelta(seconds=31))

    assert is_refused(alice, forever)


# case 29
def test_signing_out_ends_this_token_and_no_other(signed_in: tuple[Program, Person]) -> None:
    alice, person = signed_in
    second = Program(alice.url, sign_in(alice, person))

    assert data(alice.post(f"{ADMIN}/logout")) is None

    assert refusal(alice.get(HISTORY)) == UNAUTHORIZED
    assert refusal(alice.post(f"{ADMIN}/logout")) == UNAUTHORIZED
    assert data(second.get(HISTORY))


# case 29
def test_deactivation_ends_a_token_at_once(
    signed_in: tuple[Program, Person], behind: Flask
) -> None:
    alice, person = signed_in
    _account(person).deactivated_at = utcnow()
    db.session.commit()

    assert refusal(alice.get(HISTORY)) == UNAUTHORIZED
    refused = alice.post(f"{ADMIN}/login", json=person.credentials)
    assert refusal(refused) == (400, "email or password doesn't match!")


# case 29
@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
def test_who_is_no_admin_any_more_is_unauthorized_at_once(
    signed_in: tuple[Program, Person], behind: Flask, role: Role
) -> None:
    alice, person = signed_in
    _account(person).role = role
    db.session.commit()

    assert refusal(alice.get(HISTORY)) == UNAUTHORIZED
    refused = alice.post(f"{ADMIN}/login", json=person.credentials)
    assert refusal(refused) == (400, "email or password doesn't match!")


# case 39
def test_a_token_outlives_its_key_as_long_as_the_key_is_kept(shared_database: str) -> None:
    portal = partial(serve, shared_database, workers=1, **CONTRACT, TRUSTED_PROXIES="1")
    with (
        portal(SECRET_KEY=OLD_SECRET) as before,
        portal(SECRET_KEY=NEW_SECRET, SECRET_KEY_FALLBACKS=OLD_SECRET) as rotating,
        portal(SECRET_KEY=NEW_SECRET) as rotated,
    ):
        alice, person = admin(before)
        code = alice.generate()
        assert Program(rotating, alice.token).history()["data"][0]["code"] == code
        assert is_refused(Program(rotated), alice.token)

        fresh = sign_in(Program(rotating), person)
        assert data(Program(rotated, fresh).get(f"{HISTORY}?status=used"))
        assert is_refused(alice, fresh)

    kids = {jwt.get_unverified_header(token)["kid"] for token in (alice.token, fresh)}
    assert len(kids) == 2


def test_a_token_of_one_person_does_not_speak_for_another(
    alice: Program, behind: Flask, service: str, claims: dict[str, Any], header: dict[str, Any]
) -> None:
    """The session decides, not what is written beside it."""
    bob, _ = admin(service)
    theirs = jwt.decode(bob.token, options={"verify_signature": False})
    mixed = Program(alice.url, sign(claims | {"id": theirs["id"]}, header))
    alice.generate()

    assert mixed.history() == alice.history()


def _account(person: Person) -> Account:
    account = accounts.find(person.email)
    assert account is not None
    return account


def _end_session(claims: dict[str, Any], *, before: timedelta) -> None:
    session = db.session.get(Session, UUID(claims["jti"]))
    assert session is not None
    session.expires_at = utcnow() - before
    db.session.commit()


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
