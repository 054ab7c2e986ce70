"""Keys, one per purpose, all derived from `SECRET_KEY` by HKDF (RFC 5869)."""

from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.config import current_settings


def derive(purpose: str) -> bytes:
    """The current 32-byte key for `purpose`."""
    return derive_all(purpose)[0]


def derive_all(purpose: str) -> tuple[bytes, ...]:
    """The current key for `purpose`, then those it replaced (`SECRET_KEY_FALLBACKS`)."""
    return _derive_all(current_settings().secrets, purpose)


def mac(purpose: str, message: bytes) -> bytes:
    """The HMAC-SHA256 of `message` (32 bytes, RFC 2104) under the current key for `purpose`."""
    return mac_by(derive(purpose), message)


def macs(purpose: str, message: bytes) -> list[bytes]:
    """`mac` under the current key, then under those it replaced."""
    return [mac_by(key, message) for key in derive_all(purpose)]


def mac_by(key: bytes, message: bytes) -> bytes:
    """`mac` under a key already derived."""
    keyed = _keyed(key).copy()
    keyed.update(message)
    return keyed.finalize()


@lru_cache(maxsize=64)
def _keyed(key: bytes) -> HMAC:
    """A template to copy for each message: setting up a key costs more than a short message."""
    return HMAC(key, SHA256())


@lru_cache(maxsize=64)
def _derive_all(secrets: tuple[str, ...], purpose: str) -> tuple[bytes, ...]:
    return tuple(
        HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret.encode())
        for secret in secrets
    )
