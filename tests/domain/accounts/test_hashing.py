"""Nobody who is locked out, out of budget or wrong with a code has the portal hash a password."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from portal.domain.accounts import (
    accounts,
    credentials,
    deletion,
    login,
    password_reset,
    passwords,
    registration,
    verification,
)
from portal.domain.client import Origin
from portal.domain.errors import (
    AskedTooOften,
    CodeRefused,
    InvalidCredentials,
    LockedOut,
    PortalError,
    VerificationRefused,
)
from portal.domain.invitations import redemptions
from portal.domain.tokens import jwt, mobile, okami
from portal.models import Account, Purpose
from tests import factories, thrift
from tests.domain.outcomes import refused
from tests.factories import NOW, PASSWORD, device, sent_to

pytestmark = pytest.mark.usefixtures("context")

NEW = "a new battery staple"
WRONG_CODE = "K7QM-4TXB-9RWD"
GUESSER = "203.0.113.9"

few_misses = pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 1}])
invite_only = pytest.mark.parametrize("settings_changes", [{"admin_registration": "invite"}])


@dataclass
class Counting:
    """The hasher of the portal, which counts what it is asked for."""

    hashes: int = 0
    inner: Any = field(default=thrift.HASHER)

    def hash(self, password: str) -> str:
        """Make a hash."""
        self.hashes += 1
        return str(self.inner.hash(password))

    def verify(self, stored: str, password: str) -> bool:
        """Make another, and compare."""
        self.hashes += 1
        return bool(self.inner.verify(stored, password))

    def check_needs_rehash(self, stored: str) -> bool:
        """Look at the parameters."""
        return bool(self.inner.check_needs_rehash(stored))


@pytest.fixture
def mia() -> Account:
    """A member."""
    return factories.member()


@pytest.fixture
def hasher(mia: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    """Counts from when everybody is there."""
    counting = Counting()
    monkeypatch.setattr(passwords, "_hasher", counting)
    return counting


def here(name: str = "") -> Origin:
    """A new device at the guesser's address."""
    return device(name, GUESSER)


def spend_the_budgets() -> None:
    """Look for, redeem, and sign in by what nobody has, until this address has to wait."""
    for guess in (
        lambda: redemptions.check(WRONG_CODE, origin=here(), now=NOW),
        lambda: factories.redeem(WRONG_CODE, origin=here(), now=NOW),
        lambda: accounts.sign_in("nobody", "wrong", origin=here(), now=NOW),
        lambda: password_reset.finish("nobody", "ABCD1234", NEW, origin=here(), now=NOW),
        lambda: verification.require_patience(here(), now=NOW),
        lambda: password_reset.request("nobody", origin=here(), now=NOW),
    ):
        with suppress(PortalError):
            guess()


def step2(_mia: Account) -> object:
    """Show a password to the okami dialect."""
    first = okami.name_client(str(uuid4()), now=NOW)
    return okami.show_password(first, "mia@example.org", PASSWORD, origin=here(), now=NOW)


def on_one_device(_mia: Account) -> object:
    """Sign in by the mobile dialect."""
    lasts = jwt.MOBILE_LASTS
    return mobile.sign_in("mia", PASSWORD, origin=here(), now=NOW, lasts=lasts)


def change(mia: Account) -> object:
    """Choose another password."""
    within = factories.session_of(mia)
    return credentials.change_password(mia, PASSWORD, NEW, keeps=within, origin=here(), now=NOW)


def move(mia: Account) -> object:
    """Ask for another e-mail."""
    within = factories.session_of(mia)
    return credentials.request_new_email(
        mia, "new@example.org", PASSWORD, session=within, origin=here(), now=NOW
    )


def erase(mia: Account) -> object:
    """Delete the account."""
    within = factories.session_of(mia)
    return deletion.erase(mia, PASSWORD, session=within, origin=here(), now=NOW)


def sign_up(_mia: Account) -> object:
    """Sign up."""
    return registration.sign_up(email="ana@example.org", password=NEW, origin=here(), now=NOW)


def sign_in(_mia: Account) -> object:
    """Sign in on the pages."""
    return login.begin("mia", PASSWORD, origin=here(), now=NOW)


def sign_in_as_program(_mia: Account) -> object:
    """Sign in as programs do in the other dialects."""
    return accounts.sign_in("mia", PASSWORD, origin=here(), now=NOW)


def reset(_mia: Account) -> object:
    """Set another password by the mailed code, which is right."""
    code, _ = sent_to("mia@example.org")
    return password_reset.finish("mia", code, NEW, origin=here(), now=NOW)


VERBS = [
    *(sign_in, sign_in_as_program, on_one_device, step2),
    *(reset, change, move, erase, sign_up),
]


# case 94
@few_misses
@pytest.mark.parametrize("verb", VERBS)
def test_an_address_that_has_to_wait_costs_no_hash(
    mia: Account, hasher: Counting, verb: Callable[[Account], object]
) -> None:
    password_reset.request("mia", origin=device(address="192.0.2.2"), now=NOW)
    spend_the_budgets()
    hasher.hashes = 0

    with pytest.raises((LockedOut, AskedTooOften)):
        verb(mia)

    assert hasher.hashes == 0


# case 94
@invite_only
def test_a_device_that_is_locked_out_costs_no_hash_when_it_registers(
    mia: Account, hasher: Counting
) -> None:
    factories.owner()
    guesser = here("guesser")
    hasher.hashes = 0
    for expected in (CodeRefused, CodeRefused, LockedOut, LockedOut):
        with refused(expected):
            register(guesser)
    assert hasher.hashes == 0


def register(origin: Origin) -> Account:
    """Register as staff with a code that nobody was given."""
    return accounts.register(
        email="eve@example.org",
        username="eve",
        password=NEW,
        invitation_code=WRONG_CODE,
        origin=origin,
        now=NOW,
    )


# case 94
def test_a_device_that_is_locked_out_costs_no_hash_when_it_signs_up(
    mia: Account, hasher: Counting
) -> None:
    guesser = here("guesser")
    for expected in (CodeRefused, CodeRefused, LockedOut, LockedOut):
        with refused(expected):
            registration.sign_up(
                email="eve@example.org",
                password=NEW,
                invitation_code=WRONG_CODE,
                origin=guesser,
                now=NOW,
            )
    assert hasher.hashes == 0


# case 94
def test_a_wrong_code_costs_no_hash_and_a_right_one_costs_one(
    mia: Account, hasher: Counting
) -> None:
    password_reset.request("mia", origin=device(), now=NOW)
    for name in ("mia", "nobody"):
        with refused(VerificationRefused):
            password_reset.finish(name, "ABCD1234", NEW, origin=here(), now=NOW)
    assert hasher.hashes == 0

    reset(mia)

    assert hasher.hashes == 1
    assert accounts.sign_in("mia", NEW, origin=here(), now=NOW)


# case 94
def test_a_password_that_is_not_the_one_before_costs_no_hash_of_the_new_one(
    mia: Account, hasher: Counting
) -> None:
    within = factories.session_of(mia)
    with refused(InvalidCredentials):
        credentials.change_password(mia, "wrong", NEW, keeps=within, origin=here(), now=NOW)
    assert hasher.hashes == 1


def test_known_and_unknown_emails_cost_the_same_to_sign_up(mia: Account, hasher: Counting) -> None:
    costs = []
    for email in ("mia@example.org", "ana@example.org"):
        hasher.hashes = 0
        registration.sign_up(email=email, password=NEW, origin=here(), now=NOW)
        costs.append(hasher.hashes)
    assert costs == [1, 1]


def test_a_deactivation_that_comes_between_code_and_hash_keeps_the_password(
    mia: Account, hasher: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash takes long, and is made while nothing is locked."""
    olivia, before = factories.owner(), mia.password_hash
    password_reset.request("mia", origin=device(), now=NOW)
    hashed = passwords.hashed

    def deactivated_meanwhile(password: str) -> str:
        deletion.deactivate(mia, by=olivia, origin=device(), now=NOW)
        return hashed(password)

    monkeypatch.setattr(passwords, "hashed", deactivated_meanwhile)
    with refused(VerificationRefused):
        reset(mia)

    assert mia.password_hash == before


def test_the_exchanged_code_of_the_two_step_reset_still_sets_a_password(mia: Account) -> None:
    password_reset.request("mia", origin=device(), now=NOW)
    code, _ = sent_to("mia@example.org")
    following = password_reset.exchange("mia", code, origin=here(), now=NOW)

    password_reset.finish("mia", following, NEW, origin=here(), now=NOW, step=Purpose.NEW_PASSWORD)

    assert accounts.sign_in("mia", NEW, origin=here(), now=NOW)
