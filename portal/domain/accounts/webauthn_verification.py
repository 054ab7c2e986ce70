"""WebAuthn registration and sign-in, by the `webauthn` library.

Raises `PasskeyRefused` unless the response was made for `site`, with user verification, and for a
challenge that `challenge` accepts as its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import webauthn
from webauthn.helpers import (
    options_to_json_dict,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from portal.config import settings
from portal.domain.errors import PasskeyRefused
from portal.models import Account, Passkey

Challenge = Callable[[bytes], bytes]

# What the library and its parsers raise for responses no browser would send.
_UNREADABLE = (WebAuthnException, ValueError, TypeError, LookupError, RecursionError)


def creation_options(
    account: Account, *, site: str, challenge: bytes, known: list[bytes]
) -> dict[str, Any]:
    """WebAuthn options (JSON) for a device that holds none of the `known` passkeys."""
    options = webauthn.generate_registration_options(
        rp_id=site,
        rp_name=settings.site_name,
        user_id=account.id.bytes,
        user_name=account.email,
        user_display_name=account.username,
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
    )
    return options_to_json_dict(options)


def creation(answer: str, *, site: str, challenge: Challenge) -> VerifiedRegistration:
    """The passkey registered by the browser's response."""
    with _refusing_the_unreadable():
        credential = parse_registration_credential_json(answer)
        given = parse_client_data_json(credential.response.client_data_json).challenge
        return webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge(given),
            expected_rp_id=site,
            expected_origin=settings.base_url,
            require_user_verification=True,
        )


def request_options(*, site: str, challenge: bytes) -> dict[str, Any]:
    """WebAuthn options (JSON) for signing in with any passkey. They name no account."""
    options = webauthn.generate_authentication_options(
        rp_id=site,
        challenge=challenge,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


def request(
    answer: str,
    *,
    site: str,
    challenge: Challenge,
    find: Callable[[bytes, bytes | None], Passkey],
) -> tuple[Passkey, int]:
    """The passkey that signed the response, and its new sign count.

    `find` gets the ids of the passkey and of its owner, as the browser states them.
    """
    with _refusing_the_unreadable():
        credential = parse_authentication_credential_json(answer)
        passkey = find(credential.raw_id, credential.response.user_handle)
        given = parse_client_data_json(credential.response.client_data_json).challenge
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge(given),
            expected_rp_id=site,
            expected_origin=settings.base_url,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    return passkey, verified.new_sign_count


@contextmanager
def _refusing_the_unreadable() -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise PasskeyRefused from error
