"""Passwords: the rule they keep to, and argon2id (RFC 9106; OWASP's 19 MiB, t=2, p=1)."""

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from portal.config import settings
from portal.domain.errors import WeakPassword

LONGEST = 256
_hasher = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
# Each hash holds 19 MiB: a burst of sign-ins must not exhaust a small host.
_places = BoundedSemaphore(4)
# What an unknown name is verified against, so that it takes as long as a known one. No password
# fits it, and no start waits for argon2 to make it.
_OF_NOBODY = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    "$UGhu8HBRgx7K4j0m3NwZqg$" + "A" * 43
)


def require_strong(password: str) -> None:
    """Raise `WeakPassword` for one that is too short, too long, or among the common ones."""
    shortest = settings.password_min_length
    if len(password) < shortest:
        raise WeakPassword(f"A password has at least {shortest} characters.")
    if len(password) > LONGEST:
        raise WeakPassword(f"A password has at most {LONGEST} characters.")
    if password.lower() in _common():
        raise WeakPassword("This password is among the most common ones. Choose another.")


@cache
def _common() -> frozenset[str]:
    """The ten thousand most common passwords, by zxcvbn's list, which is sorted."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - long to load

    return frozenset(FREQUENCY_LISTS["passwords"][:10_000])


def hashed(password: str) -> str:
    """The password as it is stored."""
    with _places:
        return _hasher.hash(password)


def fits(password: str, stored: str | None) -> bool:
    """Whether `password` is the one behind `stored`; with None, false after the same work."""
    if len(password) > LONGEST:
        return False
    with _places:
        try:
            _hasher.verify(stored or _OF_NOBODY, password)
        except VerificationError:
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether `stored` was made with other parameters than today's."""
    return _hasher.check_needs_rehash(stored)
