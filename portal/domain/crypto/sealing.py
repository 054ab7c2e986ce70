"""Secrets at rest that must be read again: AES-256-GCM, each bound to its purpose and its row."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.domain.crypto import keys

NONCE_BYTES = 12


def seal(secret: bytes, *, purpose: str, row: bytes) -> bytes:
    """Encrypt the secret for `purpose`; moved to another row, it cannot be decrypted."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(keys.derive(purpose)).encrypt(nonce, secret, row)


def unseal(sealed: bytes, *, purpose: str, row: bytes) -> bytes:
    """Decrypt with the current key or one it replaced; raises `InvalidTag` if none fits."""
    for key in keys.derive_all(purpose):
        try:
            return _opened(key, sealed, row)
        except InvalidTag:
            continue
    raise InvalidTag


def is_outdated(sealed: bytes, *, purpose: str, row: bytes) -> bool:
    """Whether it was sealed under a replaced `SECRET_KEY`."""
    try:
        _opened(keys.derive(purpose), sealed, row)
    except InvalidTag:
        return True
    return False


def _opened(key: bytes, sealed: bytes, row: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row)
