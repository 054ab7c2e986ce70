"""Keys that sign tokens: one algorithm per key, identified by kid, sealed at rest.

The newest key of an algorithm signs. Those it replaced verify what they signed until that expires,
then retire. A new `SECRET_KEY` brings new signing keys: those sealed under its predecessor no
longer sign.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import jwt
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import RSAAlgorithm
from sqlalchemy import Engine

from portal.domain.audit import audit
from portal.domain.crypto import sealing
from portal.domain.errors import SignInRequired
from portal.extensions import db
from portal.models import SigningKey

# The longest lifetime of any token signed with each algorithm (see `jwt.py`).
LONGEST = {
    "RS256": timedelta(hours=24),
    "HS256": timedelta(days=30),
    "HS512": timedelta(hours=8),
}
LEEWAY = timedelta(seconds=30)
KEPT = timedelta(seconds=30)
RSA_BITS = 2048
# RFC 7518, 3.2: an HMAC key is at least as long as the digest.
HMAC_BYTES = {"HS256": 32, "HS512": 64}
_SEAL = "signing key seal"


@dataclass(frozen=True)
class Key:
    """An unsealed key. `signs`: it was sealed under the current `SECRET_KEY`."""

    kid: str
    algorithm: str
    secret: bytes = field(repr=False)
    retired_at: datetime | None
    signs: bool

    def lives(self, now: datetime) -> bool:
        """Whether its signatures are to be trusted."""
        return self.retired_at is None or self.retired_at > now

    @cached_property
    def private(self) -> RSAPrivateKey | bytes:
        """The key for PyJWT to sign with."""
        if self.algorithm in HMAC_BYTES:
            return self.secret
        loaded = load_der_private_key(self.secret, None)
        assert isinstance(loaded, RSAPrivateKey)  # noqa: S101 - nothing else is sealed here
        return loaded

    @cached_property
    def public(self) -> Any:
        """The key for PyJWT to verify with."""
        return self.private if isinstance(self.private, bytes) else self.private.public_key()


@dataclass(frozen=True)
class _Read:
    at: datetime
    keys: dict[str, Key]

    def is_fresh(self, now: datetime) -> bool:
        return timedelta() <= now - self.at < KEPT


# The keys this process has read, by database.
_read: WeakKeyDictionary[Engine, _Read] = WeakKeyDictionary()


def sign(claims: dict[str, Any], algorithm: str, *, now: datetime, kind: str = "JWT") -> str:
    """A token signed by the newest key, with `kind` as its `typ`; the first one creates the key."""
    key = key_in_use(algorithm, now=now)
    headers = {"kid": key.kid, "typ": kind}
    return jwt.encode(claims, key.private, algorithm=algorithm, headers=headers)


def key_in_use(algorithm: str, *, now: datetime) -> Key:
    """The key that signs."""
    return _newest(_known(now), algorithm) or _first(algorithm, now)


def verified(
    token: str,
    algorithm: str,
    *,
    now: datetime,
    issuer: str,
    audience: str | None = None,
    kind: str = "JWT",
) -> Mapping[str, Any]:
    """The claims of a token of this algorithm and `typ`; raises `SignInRequired`.

    The key is looked up by `kid` among our own; nothing else in the token can choose it (RFC 8725,
    3.1).
    """
    try:
        key = _by_kid(_header(token).get("kid"), now)
        if key is None or key.algorithm != algorithm:
            raise SignInRequired
        claims = _signed_claims(token, key, kind, issuer, audience)
    except jwt.InvalidTokenError as error:
        raise SignInRequired from error
    if not _is_number(claims["exp"]) or claims["exp"] + LEEWAY.total_seconds() <= now.timestamp():
        raise SignInRequired
    return claims


@lru_cache(maxsize=1024)  # PyJWT decodes the whole token for this
def _header(token: str) -> Mapping[str, Any]:
    return jwt.get_unverified_header(token)


@lru_cache(maxsize=1024)  # a signature stays valid; key, expiry and session are checked each time
def _signed_claims(
    token: str, key: Key, kind: str, issuer: str, audience: str | None
) -> Mapping[str, Any]:
    header = _header(token)
    if header.get("typ") != kind or "crit" in header:
        raise SignInRequired
    claims: dict[str, Any] = jwt.decode(
        token,
        key.public,
        algorithms=[key.algorithm],
        options={"verify_exp": False, "verify_iat": False, "require": ["exp", "iss"]},
        issuer=issuer,
        audience=audience,
    )
    return claims


def public_keys(*, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """The public keys as a JWK set (RFC 7517), newest first; never empty."""
    _first("RS256", now)
    rows = db.session.scalars(
        sa.select(SigningKey)
        .where(SigningKey.public_jwk.is_not(None), _is_living(now))
        .order_by(SigningKey.created_at.desc())
    )
    return {"keys": [json.loads(row.public_jwk or "") for row in rows]}


def rotate(algorithm: str, *, now: datetime, at_once: bool = False) -> str:
    """Create a new key of this algorithm; return its kid.

    Old keys verify until their tokens expire; `at_once`, for a leaked key, retires them now.
    """
    ends = now if at_once else now + LONGEST[algorithm] + LEEWAY + KEPT
    db.session.execute(
        sa.update(SigningKey)
        .where(
            SigningKey.algorithm == algorithm,
            sa.or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > ends),
        )
        .values(retired_at=ends)
    )
    kid = _make(algorithm, now)
    audit.record("signing_key.rotated", now=now, algorithm=algorithm, kid=kid, at_once=at_once)
    db.session.commit()
    _read.pop(db.engine, None)
    return kid


def _make(algorithm: str, now: datetime) -> str:
    """Add a key; if two processes both create a first one, both are valid."""
    kid = secrets.token_hex(8)
    secret, public = _drawn(algorithm, kid)
    db.session.add(
        SigningKey(
            kid=kid,
            algorithm=algorithm,
            sealed=sealing.seal(secret, purpose=_SEAL, row=_row(kid, algorithm)),
            public_jwk=public,
            created_at=now,
        )
    )
    db.session.flush()
    return kid


def _drawn(algorithm: str, kid: str) -> tuple[bytes, str | None]:
    """A new secret, and its public half as a JWK if it has one."""
    if algorithm in HMAC_BYTES:
        return secrets.token_bytes(HMAC_BYTES[algorithm]), None
    pair = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    jwk = RSAAlgorithm.to_jwk(pair.public_key(), as_dict=True)
    named = {"kty": jwk["kty"], "use": "sig", "alg": algorithm, "kid": kid}
    secret = pair.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return secret, json.dumps(named | {"n": jwk["n"], "e": jwk["e"]})


def _by_kid(kid: object, now: datetime) -> Key | None:
    """The valid key with that kid, reading again in case another process created it just now."""
    if not isinstance(kid, str):
        return None
    key = _known(now).get(kid) or _look(now).get(kid)
    return key if key is not None and key.lives(now) else None


def _first(algorithm: str, now: datetime) -> Key:
    """The signing key, created if there is none. Commits."""
    key = _newest(_look(now), algorithm)
    if key is None:
        kid = _make(algorithm, now)
        db.session.commit()
        key = _look(now)[kid]
    return key


def _newest(known: dict[str, Key], algorithm: str) -> Key | None:
    """The signing key: the first of those read, as they are sorted newest first."""
    fitting = (
        key
        for key in known.values()
        if key.algorithm == algorithm and key.signs and key.retired_at is None
    )
    return next(fitting, None)


def _known(now: datetime) -> dict[str, Key]:
    read = _read.get(db.engine)
    return read.keys if read is not None and read.is_fresh(now) else _look(now)


def _look(now: datetime) -> dict[str, Key]:
    """Read every key that has not retired, reusing those already unsealed."""
    earlier = _read.get(db.engine)
    rows = db.session.scalars(
        sa.select(SigningKey)
        .where(_is_living(now))
        .order_by(SigningKey.created_at.desc(), SigningKey.kid)
    )
    found = {}
    for row in rows:
        key = _unsealed(row, earlier.keys.get(row.kid) if earlier else None)
        if key is not None:
            found[row.kid] = key
    _read[db.engine] = _Read(now, found)
    return found


def _unsealed(row: SigningKey, earlier: Key | None) -> Key | None:
    """The key in this row; None if the `SECRET_KEY` that sealed it is gone."""
    if earlier is not None and earlier.retired_at == row.retired_at:
        return earlier
    place = _row(row.kid, row.algorithm)
    try:
        secret = sealing.unseal(row.sealed, purpose=_SEAL, row=place)
    except InvalidTag:
        return None
    signs = not sealing.is_outdated(row.sealed, purpose=_SEAL, row=place)
    return Key(row.kid, row.algorithm, secret, row.retired_at, signs)


def _is_living(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > now)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(kid: str, algorithm: str) -> bytes:
    return f"{kid} {algorithm}".encode()
