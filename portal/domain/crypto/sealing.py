"""Secrets at rest that must be read again: AES-256-GCM, each bound to its purpose and its row."""

import os
from collections.abc import Iterable, Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.domain.crypto import keys

NONCE_BYTES = 12


def seal(secret: bytes, *, purpose: str, row: bytes) -> bytes:
    """The secret under the key of `purpose`; moved to another row, the seal no longer opens."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _ciphers(purpose)[0].encrypt(nonce, secret, row)


def seal_all(secrets: Sequence[tuple[bytes, bytes]], *, purpose: str) -> list[bytes]:
    """`seal`, of many secrets, each with its row: their nonces are drawn together."""
    encrypt = _ciphers(purpose)[0].encrypt
    drawn = os.urandom(NONCE_BYTES * len(secrets))
    nonces = (drawn[at : at + NONCE_BYTES] for at in range(0, len(drawn), NONCE_BYTES))
    return [
        nonce + encrypt(nonce, secret, row)
        for nonce, (secret, row) in zip(nonces, secrets, strict=True)
    ]


def unseal(sealed: bytes, *, purpose: str, row: bytes) -> bytes:
    """The secret, by the key in use or one it replaced; raises `InvalidTag` if none fits."""
    for cipher in _ciphers(purpose):
        try:
            return _opened(cipher, sealed, row)
        except InvalidTag:
            continue
    raise InvalidTag


def unseal_all(sealed: Iterable[tuple[bytes, bytes]], *, purpose: str) -> list[bytes]:
    """`unseal`, of a page of seals, each with its row."""
    pairs, decrypt = list(sealed), _ciphers(purpose)[0].decrypt
    try:
        return [decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], row) for box, row in pairs]
    except InvalidTag:  # at least one was sealed with a key that has been replaced
        return [unseal(box, purpose=purpose, row=row) for box, row in pairs]


def is_outdated(sealed: bytes, *, purpose: str, row: bytes) -> bool:
    """Whether it was sealed under a replaced `SECRET_KEY`."""
    try:
        _opened(_ciphers(purpose)[0], sealed, row)
    except InvalidTag:
        return True
    return False


def _ciphers(purpose: str) -> Sequence[AESGCM]:
    """That of the key in use for `purpose`, then those of the keys it replaced."""
    return _ciphers_of(keys.derive_all(purpose))


@lru_cache(maxsize=64)
def _ciphers_of(derived: Sequence[bytes]) -> Sequence[AESGCM]:
    return [AESGCM(key) for key in derived]


def _opened(cipher: AESGCM, sealed: bytes, row: bytes) -> bytes:
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row)
