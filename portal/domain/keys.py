"""Keys, one a purpose, all derived from `SECRET_KEY` by HKDF (RFC 5869)."""

from functools import lru_cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from portal.config import settings


def derive(purpose: str) -> bytes:
    """The 32-byte key in use for `purpose`."""
    return derive_all(purpose)[0]


def derive_all(purpose: str) -> tuple[bytes, ...]:
    """The key in use for `purpose`, then those it replaced (`SECRET_KEY_FALLBACKS`)."""
    return _derive_all(settings.secrets, purpose)


@lru_cache(maxsize=64)
def _derive_all(secrets: tuple[str, ...], purpose: str) -> tuple[bytes, ...]:
    return tuple(
        HKDF(SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret.encode())
        for secret in secrets
    )
