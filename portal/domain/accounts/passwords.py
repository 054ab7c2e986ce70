"""Password policy, and hashing by argon2id (RFC 9106; OWASP's 19 MiB, t=2, p=1)."""

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from portal.config import settings
from portal.domain.errors import WeakPassword

LONGEST = 256
_hasher = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
# Each hash takes 19 MiB: a burst of sign-ins must not exhaust a small host.
_places = BoundedSemaphore(4)
# A dummy hash, so that unknown names take as long as known ones. No password matches it, and being
# a literal it costs no hash at start.
_OF_NOBODY = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    "$UGhu8HBRgx7K4j0m3NwZqg$" + "A" * 43
)


def require_strong(password: str) -> None:
    """Raise `WeakPassword` for a password that is too short, too long, or too common."""
    shortest = settings.password_min_length
    if len(password) < shortest:
        raise WeakPassword(f"A password has at least {shortest} characters.")
    if len(password) > LONGEST:
        raise WeakPassword(f"A password has at most {LONGEST} characters.")
    if password.lower() in _common():
        raise WeakPassword("This password is among the most common ones. Choose another.")


@cache
def _common() -> frozenset[str]:
    """The ten thousand most common passwords, from zxcvbn's list, which is sorted."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - long to load

    return frozenset(FREQUENCY_LISTS["passwords"][:10_000])


def hashed(password: str) -> str:
    """The password's hash, as stored."""
    with _places:
        return _hasher.hash(password)


def fits(password: str, stored: str | None) -> bool:
    """Whether `password` matches `stored`; None never does, after the same amount of work."""
    if len(password) > LONGEST:
        return False
    with _places:
        try:
            _hasher.verify(stored or _OF_NOBODY, password)
        except VerificationError:
            return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether `stored` was hashed with other parameters than the current ones."""
    return _hasher.check_needs_rehash(stored)
