"""The two ceremonies of WebAuthn, as the library knows them: a passkey is created, or requested.

What was answered is refused (`PasskeyRefused`) unless it was given for `site`, by somebody whom the
device recognised, and to a challenge that `challenge` takes for its own.
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

# What the library, and the readers it builds on, raise at answers that no browser gives.
_UNREADABLE = (WebAuthnException, ValueError, TypeError, LookupError, RecursionError)


def creation_options(
    account: Account, *, site: str, challenge: bytes, known: list[bytes]
) -> dict[str, Any]:
    """What a browser needs to make a passkey, on a device that holds none of the `known` (JSON)."""
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
    """The passkey a browser made."""
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
    """What a browser needs to let somebody choose a passkey (JSON). It names nobody."""
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
    """The passkey a browser answered with, and how often it says it was used.

    `find` is given the id of the passkey and of its owner, by what the browser says.
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
