"""Passkeys (WebAuthn Level 3): added while signed in, and enough on their own to sign in.

Challenges are not stored. Each carries a MAC over its purpose, device and expiry; the counters
behind the lockout let each be used once.
"""

import secrets
from datetime import datetime, timedelta
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import sqlalchemy as sa
from limits import RateLimitItemPerMinute
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.config import settings
from portal.domain.accounts import two_factor
from portal.domain.client import Origin
from portal.domain.crypto import keys
from portal.domain.errors import NotFound, PasskeyRefused
from portal.domain.lockout.counters import counting
from portal.extensions import db
from portal.models import Account, Passkey

MOST = 20  # per account
LASTS = timedelta(minutes=5)
NONCE_BYTES, TIME_BYTES, PROOF_BYTES = 16, 8, 16

_SIGN_IN = "sign-in"
_ANSWERS = RateLimitItemPerMinute(1, 10, namespace="challenge")


def are_possible() -> bool:
    """Whether browsers allow passkeys here: they need a host name, and HTTPS or localhost."""
    site = urlsplit(settings.base_url)
    host = site.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return site.scheme == "https" or host == "localhost"
    return False


def creation_options(account: Account, *, origin: Origin, now: datetime) -> dict[str, Any]:
    """WebAuthn options (JSON) for registering a passkey for this account."""
    from portal.domain.accounts import webauthn_verification  # noqa: PLC0415 - long to load, and few use a passkey

    return webauthn_verification.creation_options(
        account,
        site=_host(),
        challenge=_challenge(_creation(account), origin, now),
        known=[passkey.credential_id for passkey in of(account)],
    )


def add(account: Account, answer: str, *, name: str, origin: Origin, now: datetime) -> list[str]:
    """Register a passkey from the browser's response; return the recovery codes, if they are new.

    Raises `PasskeyRefused`.
    """
    if len(of(account)) >= MOST:
        raise PasskeyRefused("These are many passkeys. Remove one you no longer use.")
    from portal.domain.accounts import webauthn_verification  # noqa: PLC0415 - see `creation_options`

    verified = webauthn_verification.creation(
        answer,
        site=_host(),
        challenge=lambda given: _answered(given, _creation(account), origin, now),
    )
    passkey = Passkey(
        account_id=account.id,
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        name=name or "Passkey",
        created_at=now,
    )
    db.session.add(passkey)
    try:
        return two_factor.added(account, "second_factor.passkey_added", origin=origin, now=now)
    except IntegrityError as error:
        db.session.rollback()
        raise PasskeyRefused from error


def request_options(*, origin: Origin, now: datetime) -> dict[str, Any]:
    """WebAuthn options (JSON) for signing in with any passkey. They name no account."""
    from portal.domain.accounts import webauthn_verification  # noqa: PLC0415 - see `creation_options`

    return webauthn_verification.request_options(
        site=_host(), challenge=_challenge(_SIGN_IN, origin, now)
    )


def use(answer: str, *, origin: Origin, now: datetime) -> Account:
    """The account whose passkey signed the response. Takes part in the caller's transaction.

    Raises `PasskeyRefused`.
    """
    from portal.domain.accounts import webauthn_verification  # noqa: PLC0415 - see `creation_options`

    passkey, count = webauthn_verification.request(
        answer,
        site=_host(),
        challenge=lambda given: _answered(given, _SIGN_IN, origin, now),
        find=_find,
    )
    passkey.sign_count, passkey.last_used_at = count, now
    return passkey.account


def of(account: Account) -> list[Passkey]:
    """The passkeys of an account, oldest first."""
    mine = sa.select(Passkey).where(Passkey.account_id == account.id).order_by(Passkey.id)
    return list(db.session.scalars(mine))


def remove(id: UUID, *, by: Account, origin: Origin, now: datetime) -> None:
    """Remove one of one's own passkeys. Raises `NotFound`."""
    passkey = db.session.get(Passkey, id)
    if passkey is None or passkey.account_id != by.id:
        raise NotFound
    db.session.delete(passkey)
    two_factor.removed(by, "second_factor.passkey_removed", origin=origin, now=now)


def _host() -> str:
    """The relying party id, which browsers compare with the page's address."""
    return urlsplit(settings.base_url).hostname or ""


def _creation(account: Account) -> str:
    return f"creation {account.id}"


def _find(credential_id: bytes, owner: bytes | None) -> Passkey:
    passkey = db.session.scalars(
        sa.select(Passkey)
        .where(Passkey.credential_id == credential_id)
        .options(joinedload(Passkey.account))
    ).first()
    if passkey is None or owner != passkey.account_id.bytes:
        raise PasskeyRefused
    return passkey


def _challenge(purpose: str, origin: Origin, now: datetime) -> bytes:
    until = int((now + LASTS).timestamp()).to_bytes(TIME_BYTES)
    body = secrets.token_bytes(NONCE_BYTES) + until
    return body + _proofs(body, purpose, origin)[0]


def _answered(challenge: bytes, purpose: str, origin: Origin, now: datetime) -> bytes:
    """The challenge, if it is ours, not expired, and used for the first time."""
    body, proof = challenge[:-PROOF_BYTES], challenge[-PROOF_BYTES:]
    if not any(compare_digest(each, proof) for each in _proofs(body, purpose, origin)):
        raise PasskeyRefused
    is_first = counting(now).hit(_ANSWERS, body.hex())
    if not is_first or int.from_bytes(body[NONCE_BYTES:]) < now.timestamp():
        raise PasskeyRefused("That took too long. Please try again.")
    return challenge


def _proofs(body: bytes, purpose: str, origin: Origin) -> list[bytes]:
    """The MAC under each key; the current key's comes first."""
    text = body + f" {purpose} {origin.device_digest}".encode()
    return [each[:PROOF_BYTES] for each in keys.macs("challenge", text)]
