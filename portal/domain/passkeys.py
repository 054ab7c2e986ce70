"""Passkeys (WebAuthn level 3): added by somebody signed in, and enough alone to sign in.

A challenge is not stored. It carries its own proof: for what, for which device, until when; and the
counters behind the lockout let each be answered once.
"""

import secrets
from datetime import datetime, timedelta
from hmac import compare_digest, digest
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import sqlalchemy as sa
import webauthn
from limits import RateLimitItemPerMinute
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload
from webauthn.helpers import parse_authentication_credential_json as parse_authentication
from webauthn.helpers import parse_client_data_json as parse_client_data
from webauthn.helpers import parse_registration_credential_json as parse_registration
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.config import settings
from portal.domain import keys, second_factors
from portal.domain.errors import NotFound, PasskeyRefused
from portal.domain.origin import Origin
from portal.extensions import db, lockout
from portal.limits_storage import at
from portal.models import Account, Passkey

MOST = 20  # of one account
LASTS = timedelta(minutes=5)
NONCE_BYTES, TIME_BYTES, PROOF_BYTES = 16, 8, 16

_ANSWERS = RateLimitItemPerMinute(1, 10, namespace="challenge")
# What the library, and the readers it builds on, raise at answers that no browser gives.
_UNREADABLE = (WebAuthnException, ValueError, TypeError, LookupError, RecursionError)


def are_possible() -> bool:
    """Whether browsers allow them here: for a name, over HTTPS or on this machine."""
    site = urlsplit(settings.base_url)
    host = site.hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return site.scheme == "https" or host == "localhost"
    return False


def creation_options(account: Account, *, origin: Origin, now: datetime) -> dict[str, Any]:
    """What a browser needs to make a passkey for this account (JSON)."""
    options = webauthn.generate_registration_options(
        rp_id=_host(),
        rp_name=settings.site_name,
        user_id=account.id.bytes,
        user_name=account.email,
        user_display_name=account.username,
        challenge=_challenge(_creation(account), origin, now),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=passkey.credential_id) for passkey in of(account)
        ],
    )
    return webauthn.helpers.options_to_json_dict(options)


def add(account: Account, answer: str, *, name: str, origin: Origin, now: datetime) -> list[str]:
    """Keep a passkey by the browser's answer; return the recovery codes, if they are new.

    Raises `PasskeyRefused`.
    """
    if len(of(account)) >= MOST:
        raise PasskeyRefused("These are many passkeys. Remove one you no longer use.")
    try:
        credential = parse_registration(answer)
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=_answered(
                credential.response.client_data_json, _creation(account), origin, now
            ),
            expected_rp_id=_host(),
            expected_origin=settings.base_url,
            require_user_verification=True,
        )
    except _UNREADABLE as error:
        raise PasskeyRefused from error
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
        return second_factors.added(account, "second_factor.passkey_added", origin=origin, now=now)
    except IntegrityError as error:
        db.session.rollback()
        raise PasskeyRefused from error


def request_options(*, origin: Origin, now: datetime) -> dict[str, Any]:
    """What a browser needs to let somebody choose a passkey (JSON). It names nobody."""
    options = webauthn.generate_authentication_options(
        rp_id=_host(),
        challenge=_challenge("sign-in", origin, now),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.helpers.options_to_json_dict(options)


def use(answer: str, *, origin: Origin, now: datetime) -> Account:
    """Whose passkey the browser answered with. Takes part in the caller's transaction.

    Raises `PasskeyRefused`.
    """
    try:
        credential = parse_authentication(answer)
        passkey = _find(credential)
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=_answered(
                credential.response.client_data_json, "sign-in", origin, now
            ),
            expected_rp_id=_host(),
            expected_origin=settings.base_url,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except _UNREADABLE as error:
        raise PasskeyRefused from error
    passkey.sign_count, passkey.last_used_at = verified.new_sign_count, now
    return passkey.account


def of(account: Account) -> list[Passkey]:
    """The passkeys of an account, oldest first."""
    mine = sa.select(Passkey).where(Passkey.account_id == account.id).order_by(Passkey.id)
    return list(db.session.scalars(mine))


def remove(id: UUID, *, by: Account, origin: Origin, now: datetime) -> None:
    """Let one of one's own passkeys in no more. Raises `NotFound`."""
    passkey = db.session.get(Passkey, id)
    if passkey is None or passkey.account_id != by.id:
        raise NotFound
    db.session.delete(passkey)
    second_factors.removed(by, "second_factor.passkey_removed", origin=origin, now=now)


def _host() -> str:
    """The relying party's id: browsers compare it with the address they show."""
    return urlsplit(settings.base_url).hostname or ""


def _creation(account: Account) -> str:
    return f"creation {account.id}"


def _find(credential: AuthenticationCredential) -> Passkey:
    passkey = db.session.scalars(
        sa.select(Passkey)
        .where(Passkey.credential_id == credential.raw_id)
        .options(joinedload(Passkey.account))
    ).first()
    if passkey is None or credential.response.user_handle != passkey.account_id.bytes:
        raise PasskeyRefused
    return passkey


def _challenge(purpose: str, origin: Origin, now: datetime) -> bytes:
    until = int((now + LASTS).timestamp()).to_bytes(TIME_BYTES)
    body = secrets.token_bytes(NONCE_BYTES) + until
    return body + _proof(keys.derive("challenge"), body, purpose, origin)


def _answered(client_data: bytes, purpose: str, origin: Origin, now: datetime) -> bytes:
    """The challenge a browser answered, if it was ours, is fresh, and was not answered before."""
    challenge = parse_client_data(client_data).challenge
    body, proof = challenge[:-PROOF_BYTES], challenge[-PROOF_BYTES:]
    ours = [_proof(key, body, purpose, origin) for key in keys.derive_all("challenge")]
    if not any(compare_digest(each, proof) for each in ours):
        raise PasskeyRefused
    with at(now):
        is_first = lockout.limiter.hit(_ANSWERS, body.hex())
    if not is_first or int.from_bytes(body[NONCE_BYTES:]) < now.timestamp():
        raise PasskeyRefused("That took too long. Please try again.")
    return challenge


def _proof(key: bytes, body: bytes, purpose: str, origin: Origin) -> bytes:
    text = body + f" {purpose} {origin.device_digest}".encode()
    return digest(key, text, "sha256")[:PROOF_BYTES]
