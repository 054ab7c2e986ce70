"""Passwords: which are refused, and how the others are kept."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from portal import create_app
from portal.domain.accounts import passwords
from portal.domain.errors import WeakPassword
from tests.conftest import make_settings
from tests.factories import PASSWORD


@pytest.fixture(autouse=True)
def cheap_hashes() -> None:
    """Not here: these are about hashes as production makes them."""


@pytest.fixture(autouse=True)
def portal() -> Iterator[None]:
    """The context of a portal that wants ten characters; passwords need nothing else of it."""
    with create_app(make_settings("sqlite:///:memory:", password_min_length=10)).app_context():
        yield


@pytest.mark.parametrize("password", ["", "short", "xkqvbwzjp"])
def test_a_short_password_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword, match="at least 10 characters"):
        passwords.require_strong(password)


@pytest.mark.parametrize("password", ["1234567890", "qwertyuiop", "QwertyUiop"])
def test_a_common_password_is_refused_in_any_case(password: str) -> None:
    with pytest.raises(WeakPassword, match="most common"):
        passwords.require_strong(password)


def test_a_password_has_at_most_256_characters() -> None:
    passwords.require_strong("correct h" * 28 + "orse")
    with pytest.raises(WeakPassword, match="at most 256 characters"):
        passwords.require_strong("correct h" * 28 + "orses")


def test_a_strong_password_is_taken_whatever_it_is_made_of() -> None:
    for password in (PASSWORD, "пароль с пробелами", "🦔🦔🦔🦔🦔🦔🦔🦔🦔🦔", "ten\0letters"):
        passwords.require_strong(password)


def test_a_password_fits_only_its_own_hash() -> None:
    stored = passwords.hashed(PASSWORD)

    assert passwords.fits(PASSWORD, stored)
    for other in (PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], ""):
        assert not passwords.fits(other, stored)


def test_a_hash_is_argon2id_with_a_salt_of_its_own() -> None:
    stored = passwords.hashed(PASSWORD)

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert stored != passwords.hashed(PASSWORD)


@pytest.mark.parametrize("password", [PASSWORD, "nobody"])
def test_nobody_has_a_password(password: str) -> None:
    assert not passwords.fits(password, None)


def test_a_password_of_nobody_takes_as_much_work_as_any() -> None:
    assert not passwords.is_outdated(passwords._OF_NOBODY)


def test_a_huge_password_is_refused_before_hashing() -> None:  # case 69
    huge = "a" * 1_000_000
    stored = PasswordHasher(memory_cost=8, time_cost=1, parallelism=1).hash(huge)

    assert not passwords.fits(huge, stored)


def test_a_hash_of_other_parameters_is_outdated() -> None:
    older = PasswordHasher(memory_cost=8 * 1024, time_cost=1, parallelism=1)

    assert passwords.is_outdated(older.hash(PASSWORD))
    assert not passwords.is_outdated(passwords.hashed(PASSWORD))
