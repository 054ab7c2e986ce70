"""The keys that sign: made when needed, sealed, rotated, retired."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from flask import Flask

from portal import create_app
from portal.domain.audit import audit
from portal.domain.crypto import sealing
from portal.domain.errors import SignInRequired
from portal.domain.tokens import signing
from portal.domain.tokens.signing import LONGEST
from portal.extensions import db
from portal.models import SigningKey
from tests.conftest import SECRET, make_settings
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")

ALGORITHMS = list(LONGEST)
LATER = NOW + timedelta(hours=1)


def claims(ends: datetime = NOW + timedelta(hours=8), **more: object) -> dict[str, Any]:
    """What a token says."""
    return {"iss": "a test", "exp": int(ends.timestamp()), **more}


def opens(token: str, algorithm: str, now: datetime = NOW) -> bool:
    """Whether the portal believes this token."""
    try:
        signing.verified(token, algorithm, now=now, issuer="a test")
    except SignInRequired:
        return False
    return True


@contextmanager
def another_process(database_url: str, **changes: object) -> Iterator[None]:
    """The portal over the same database, with nothing read yet."""
    with create_app(make_settings(database_url, **changes)).app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def kid_of(token: str) -> str:
    """The name of the key that signed."""
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_first_token_makes_the_key(algorithm: str) -> None:
    token = signing.sign(claims(sub="1"), algorithm, now=NOW)

    assert signing.verified(token, algorithm, now=NOW, issuer="a test")["sub"] == "1"
    assert jwt.get_unverified_header(token) == {
        "alg": algorithm,
        "typ": "JWT",
        "kid": db.session.scalars(sa.select(SigningKey.kid)).one(),
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_next_token_is_signed_with_the_same_key(algorithm: str) -> None:
    first, second = (signing.sign(claims(), algorithm, now=NOW) for _ in range(2))

    assert kid_of(first) == kid_of(second)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_secret_half_is_sealed_in_its_place(algorithm: str) -> None:
    key = signing.key_in_use(algorithm, now=NOW)
    row = db.session.scalars(sa.select(SigningKey)).one()

    assert key.secret not in row.sealed
    assert repr(key.secret) not in repr(key)
    with pytest.raises(InvalidTag):
        sealing.unseal(row.sealed, purpose="signing key seal", row=b"another")


# case 35
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("other", ALGORITHMS)
def test_a_key_is_good_for_its_own_algorithm_only(algorithm: str, other: str) -> None:
    token = signing.sign(claims(), algorithm, now=NOW)

    assert opens(token, other) == (algorithm == other)


# case 35
def test_the_public_key_is_no_secret_to_sign_with() -> None:
    (public,) = signing.public_keys(now=NOW)["keys"]
    hmac_key = jwt.PyJWK(public).key.public_numbers().n.to_bytes(256, "big")
    forged = jwt.encode(claims(), hmac_key, "HS256", headers={"kid": public["kid"]})

    assert not opens(forged, "RS256")
    assert not opens(forged, "HS256")


# case 36
def test_a_token_of_another_type_is_refused() -> None:
    step = signing.sign(claims(), "HS512", now=NOW, kind="step1+jwt")

    assert not opens(step, "HS512")
    assert signing.verified(step, "HS512", now=NOW, kind="step1+jwt", issuer="a test")


# case 37
@pytest.mark.parametrize(("seconds", "is_good"), [(-1, True), (29, True), (30, False)])
def test_a_token_is_good_for_thirty_seconds_after_its_end(seconds: int, is_good: bool) -> None:
    token = signing.sign(claims(NOW), "RS256", now=NOW)

    assert opens(token, "RS256", NOW + timedelta(seconds=seconds)) == is_good


# case 39
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_rotating_key_verifies_until_what_it_signed_has_expired(algorithm: str) -> None:
    last = NOW + LONGEST[algorithm]
    token = signing.sign(claims(last), algorithm, now=NOW)

    signing.rotate(algorithm, now=NOW)

    assert kid_of(signing.sign(claims(), algorithm, now=NOW)) != kid_of(token)
    assert opens(token, algorithm, last)


# case 39
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_retired_key_verifies_nothing(algorithm: str) -> None:
    after = NOW + LONGEST[algorithm] + timedelta(minutes=2)
    token = signing.sign(claims(after + timedelta(days=1)), algorithm, now=NOW)

    signing.rotate(algorithm, now=NOW)

    assert not opens(token, algorithm, after)


# case 39
def test_a_key_that_others_know_retires_at_once() -> None:
    token = signing.sign(claims(), "HS256", now=NOW)

    signing.rotate("HS256", now=NOW, at_once=True)

    assert not opens(token, "HS256")
    assert opens(signing.sign(claims(), "HS256", now=NOW), "HS256")


def test_a_second_rotation_does_not_prolong_the_life_of_the_first_key() -> None:
    signing.sign(claims(), "HS512", now=NOW)
    signing.rotate("HS512", now=NOW)
    ends = set(db.session.scalars(sa.select(SigningKey.retired_at)))

    signing.rotate("HS512", now=LATER)

    assert ends < set(db.session.scalars(sa.select(SigningKey.retired_at)))


def test_rotating_one_algorithm_leaves_the_others_alone() -> None:
    token = signing.sign(claims(), "HS256", now=NOW)

    signing.rotate("RS256", now=NOW, at_once=True)

    assert kid_of(signing.sign(claims(), "HS256", now=NOW)) == kid_of(token)


def test_rotation_is_audited() -> None:
    kid = signing.rotate("RS256", now=NOW)

    (event,) = audit.latest(1)
    assert (event.action, event.details["kid"]) == ("signing_key.rotated", kid)


def test_another_process_knows_a_new_key_as_soon_as_it_meets_it(
    app: Flask, database_url: str
) -> None:
    signing.sign(claims(), "HS256", now=NOW)
    with another_process(database_url):
        signing.rotate("HS256", now=NOW)
        token = signing.sign(claims(), "HS256", now=NOW)

    assert opens(token, "HS256")


def test_a_new_secret_brings_a_new_key_and_the_old_one_verifies(
    app: Flask, database_url: str
) -> None:
    token = signing.sign(claims(), "HS256", now=NOW)

    changed = {"secret_key": "another " + SECRET, "secret_key_fallbacks": SECRET}
    with another_process(database_url, **changed):
        assert opens(token, "HS256")
        assert kid_of(signing.sign(claims(), "HS256", now=NOW)) != kid_of(token)


def test_a_key_whose_secret_is_gone_is_no_key(app: Flask, database_url: str) -> None:
    token = signing.sign(claims(), "HS256", now=NOW)

    with another_process(database_url, secret_key="another " + SECRET):
        assert not opens(token, "HS256")
        assert opens(signing.sign(claims(), "HS256", now=NOW), "HS256")


def test_the_set_of_public_keys_holds_what_verifies_and_nothing_secret() -> None:
    token = signing.sign(claims(aud="others"), "RS256", now=NOW)
    signing.sign(claims(), "HS256", now=NOW)
    signing.rotate("RS256", now=NOW)

    keys = signing.public_keys(now=NOW)["keys"]

    assert len(keys) == 2
    for key in keys:
        assert list(key) == ["kty", "use", "alg", "kid", "n", "e"]
    fitting = next(key for key in keys if key["kid"] == kid_of(token))
    options: Any = {"verify_exp": False}
    jwt.decode(token, jwt.PyJWK(fitting), ["RS256"], audience="others", options=options)


def test_the_set_of_public_keys_is_never_empty() -> None:
    (key,) = signing.public_keys(now=NOW)["keys"]

    assert kid_of(signing.sign(claims(), "RS256", now=NOW)) == key["kid"]


def test_a_public_key_leaves_the_set_when_it_retires() -> None:
    signing.key_in_use("RS256", now=NOW)
    signing.rotate("RS256", now=NOW)

    (key,) = signing.public_keys(now=NOW + timedelta(hours=25))["keys"]

    assert json.dumps(key)
    assert key["kid"] == signing.key_in_use("RS256", now=NOW).kid
