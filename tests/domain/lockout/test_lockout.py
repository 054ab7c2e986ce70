"""The lockout: of devices, of addresses, and of names at sign-in."""

from datetime import datetime, timedelta

import pytest

from portal import create_app
from portal.domain.accounts import accounts
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    CodeRefused,
    InvalidCredentials,
    InvitationExpired,
    LockedOut,
)
from portal.domain.invitations import redemptions
from portal.domain.lockout import lockout
from portal.extensions import db
from portal.models import Session
from tests import factories
from tests.conftest import make_settings
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device

pytestmark = pytest.mark.usefixtures("context")

HALF_AN_HOUR = timedelta(minutes=30)
SECOND = timedelta(seconds=1)
few_misses = pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 5}])
invite_only = pytest.mark.parametrize("settings_changes", [{"admin_registration": "invite"}])


def guess(origin: Origin, now: datetime = NOW) -> int | None:
    """Redeem a wrong code that is not the last try; return the tries left."""
    with refused(CodeRefused) as refusal:
        factories.redeem("no such code", origin=origin, now=now)
    return refusal.value.tries_left


def be_locked_out(origin: Origin, now: datetime = NOW, code: str = "no such code") -> datetime:
    """Redeem a code and be told to wait; return until when."""
    with refused(LockedOut) as refusal:
        factories.redeem(code, origin=origin, now=now)
    return refusal.value.until


def locked_device(now: datetime = NOW) -> Origin:
    """A device that has just failed three times."""
    phone = device()
    assert [guess(phone, now), guess(phone, now)] == [2, 1]
    assert be_locked_out(phone, now) == now + HALF_AN_HOUR
    return phone


def sign_in(origin: Origin, password: str = PASSWORD, now: datetime = NOW) -> Session:
    """Sign in as the owner."""
    return accounts.sign_in("olivia", password, origin=origin, now=now)


def fail_to_sign_in(origin: Origin, times: int = 1, now: datetime = NOW) -> None:
    """Try wrong passwords of the owner."""
    for _ in range(times):
        with refused(InvalidCredentials):
            sign_in(origin, "a wrong password", now)


def test_the_third_failure_locks_for_thirty_minutes() -> None:
    phone = device()
    assert [guess(phone), guess(phone)] == [2, 1]

    assert be_locked_out(phone) == NOW + HALF_AN_HOUR


def test_a_lockout_is_audited() -> None:
    phone = locked_device()

    events = [(event.action, event.device) for event in audit.latest(4)]

    assert events == [("device.locked", phone.device_digest)] + 3 * [
        ("code.refused", phone.device_digest)
    ]


def test_a_locked_device_cannot_redeem_a_valid_code_nor_use_it_up() -> None:  # case 7
    invited = factories.invitation(factories.owner())
    phone = locked_device()

    be_locked_out(phone, code=code_of(invited))

    assert stored(invited).uses == 0
    assert factories.redeem(code_of(invited), origin=device(), now=NOW)


def test_a_lock_ends_after_thirty_minutes_and_the_count_starts_afresh() -> None:  # case 15
    code = code_of(factories.invitation(factories.owner(), max_uses=None))
    phone, tablet = locked_device(), locked_device()

    for locked in (phone, tablet):
        be_locked_out(locked, NOW + HALF_AN_HOUR - SECOND, code)
    assert factories.redeem(code, origin=phone, now=NOW + HALF_AN_HOUR + SECOND)
    assert guess(tablet, NOW + HALF_AN_HOUR + SECOND) == 2


def test_the_lock_runs_from_the_third_failure_not_from_the_first() -> None:
    phone = device()
    for minutes in (0, 15):
        guess(phone, NOW + timedelta(minutes=minutes))

    third = NOW + timedelta(minutes=29)
    assert be_locked_out(phone, third) == third + HALF_AN_HOUR


def test_a_failure_is_forgotten_after_thirty_minutes() -> None:
    phone = device()
    for minutes in (0, 15):
        guess(phone, NOW + timedelta(minutes=minutes))

    assert guess(phone, NOW + HALF_AN_HOUR + SECOND) == 2


def test_a_lock_does_not_grow_when_the_locked_device_keeps_trying() -> None:
    phone = locked_device()

    for minutes in range(0, 30, 3):
        assert be_locked_out(phone, NOW + timedelta(minutes=minutes)) == NOW + HALF_AN_HOUR
    assert guess(phone, NOW + HALF_AN_HOUR + SECOND) == 2


@few_misses
def test_waiting_in_a_lock_costs_the_address_nothing() -> None:
    phone = locked_device()
    for _ in range(20):
        be_locked_out(phone)

    assert guess(device()) == 2


def test_a_success_gives_three_tries_back() -> None:
    code = code_of(factories.invitation(factories.owner()))
    phone = device()
    assert [guess(phone), guess(phone)] == [2, 1]

    factories.redeem(code, origin=phone, now=NOW)

    assert [guess(phone), guess(phone)] == [2, 1]


def test_a_real_code_that_is_not_good_costs_a_try_too() -> None:
    code = code_of(factories.invitation(factories.owner()))
    phone, later = device(), NOW + timedelta(days=8)

    with refused(InvitationExpired) as refusal:
        factories.redeem(code, origin=phone, now=later)

    assert refusal.value.tries_left == 2


def test_one_device_does_not_lock_another_at_its_address() -> None:
    locked_device()

    assert guess(device()) == 2


def test_twenty_devices_at_one_address_may_each_fail_once() -> None:  # case 16
    phones = [device() for _ in range(20)]

    assert {guess(phone) for phone in phones} == {2}
    assert {guess(phone) for phone in phones} == {1}


@few_misses
def test_a_device_that_drops_its_cookie_is_still_bound_by_its_address() -> None:  # case 9
    code = code_of(factories.invitation(factories.owner()))
    for _ in range(5):
        guess(device())

    end = be_locked_out(device(), code=code)

    assert end == NOW + timedelta(hours=1)
    assert factories.redeem(code, origin=device(address="192.0.2.2"), now=NOW)


@few_misses
def test_a_device_that_moves_within_its_64_stays_one_address() -> None:  # case 11
    for number in range(5):
        guess(device(address=f"2001:db8::{number}:1"))

    be_locked_out(device(address="2001:db8::ffff:ffff:ffff:ffff"))
    assert guess(device(address="2001:db8:0:1::1")) == 2


@few_misses
def test_a_success_does_not_forgive_the_address() -> None:  # case 12
    code = code_of(factories.invitation(factories.owner(), max_uses=None))
    for _ in range(2):
        phone = device()
        guess(phone)
        guess(phone)
        factories.redeem(code, origin=phone, now=NOW)
    guess(device())

    be_locked_out(device(), code=code)


@few_misses
def test_the_misses_of_an_address_are_forgotten_after_an_hour() -> None:
    for _ in range(5):
        guess(device())
    hour = timedelta(hours=1)

    be_locked_out(device(), NOW + hour - SECOND)
    assert guess(device(), NOW + hour + SECOND) == 2


@few_misses
def test_looking_at_codes_costs_the_address_its_misses_but_no_device_a_try() -> None:  # case 2
    phone = device()
    for _ in range(5):
        with refused(CodeRefused):
            redemptions.check("K7QM-4TXB-9RWD", origin=phone, now=NOW)
    assert guess(phone) == 2

    with refused(LockedOut):
        redemptions.check("K7QM-4TXB-9RWD", origin=device(), now=NOW)


@few_misses
def test_looking_redeeming_and_signing_in_have_budgets_of_their_own() -> None:  # case 13
    code = code_of(factories.invitation(factories.owner(), max_uses=None))
    for _ in range(5):
        with refused(CodeRefused):
            redemptions.check("no such code", origin=device(), now=NOW)
    assert factories.redeem(code, origin=device(), now=NOW)
    assert sign_in(device())

    for _ in range(5):
        guess(device())
    be_locked_out(device(), code=code)
    assert sign_in(device())

    fail_to_sign_in(device(), times=5)
    with refused(LockedOut):
        sign_in(device())


@few_misses
def test_looking_at_a_real_code_is_no_miss() -> None:
    code = code_of(factories.invitation(factories.owner()))
    for _ in range(10):
        redemptions.check(code, origin=device(), now=NOW)

    assert guess(device()) == 2


@invite_only
def test_guesses_on_the_page_and_at_registration_share_one_budget() -> None:  # case 13
    factories.owner()
    phone = device()

    def register() -> None:
        accounts.register(
            email="eve@example.org",
            username="eve",
            password=PASSWORD,
            origin=phone,
            now=NOW,
            invitation_code="no such code",
        )

    guess(phone)
    with refused(CodeRefused) as refusal:
        register()
    assert refusal.value.tries_left == 1
    with refused(LockedOut):
        register()
    be_locked_out(phone)


def test_a_restart_does_not_open_a_lock(database_url: str) -> None:  # case 18
    phone = locked_device()

    with create_app(make_settings(database_url)).app_context():
        assert be_locked_out(phone, NOW + SECOND) == NOW + HALF_AN_HOUR
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize("settings_changes", [{"lockout_attempts": 1, "lockout_minutes": 5}])
def test_the_settings_say_how_many_tries_and_how_long_a_lock() -> None:
    phone = device()

    assert be_locked_out(phone) == NOW + timedelta(minutes=5)
    assert be_locked_out(phone, NOW + timedelta(minutes=5)) == NOW + timedelta(minutes=10)


def test_the_locked_devices_are_counted_while_they_are_locked() -> None:
    locked_device()
    locked_device()
    guess(device())

    assert lockout.locked_devices(now=NOW) == 2
    assert lockout.locked_devices(now=NOW + HALF_AN_HOUR) == 0


def test_a_wait_is_told_in_whole_seconds_and_never_as_none() -> None:
    lock = LockedOut(NOW + HALF_AN_HOUR)

    assert lock.seconds_left(NOW) == 1800
    assert lock.seconds_left(NOW + HALF_AN_HOUR - timedelta(milliseconds=1)) == 1
    assert lock.seconds_left(NOW + HALF_AN_HOUR - timedelta(milliseconds=1001)) == 2
    assert lock.seconds_left(NOW + HALF_AN_HOUR + SECOND) == 1


def test_ten_wrong_passwords_lock_a_name_for_strangers() -> None:
    factories.owner()
    for _ in range(10):
        fail_to_sign_in(device())

    with refused(LockedOut) as refusal:
        sign_in(device())

    assert refusal.value.until == NOW + HALF_AN_HOUR
    assert sign_in(device(), now=NOW + HALF_AN_HOUR + SECOND)


def test_a_name_nobody_has_is_locked_alike() -> None:
    for _ in range(10):
        with refused(InvalidCredentials):
            accounts.sign_in("nobody", PASSWORD, origin=device(), now=NOW)

    with refused(LockedOut) as refusal:
        accounts.sign_in("Nobody ", PASSWORD, origin=device(), now=NOW)

    assert refusal.value.until == NOW + HALF_AN_HOUR


def test_a_known_device_signs_in_while_strangers_are_locked_out() -> None:  # case 17
    factories.owner()
    laptop = device("laptop")
    sign_in(laptop)
    fail_to_sign_in(device(), times=10)
    with refused(LockedOut):
        sign_in(device())

    assert sign_in(laptop)


@few_misses
def test_a_known_device_signs_in_at_an_address_that_is_out_of_misses() -> None:  # case 17
    factories.owner()
    laptop = device("laptop")
    sign_in(laptop)
    fail_to_sign_in(device(), times=5)
    with refused(LockedOut):
        sign_in(device())

    assert sign_in(laptop)


def test_a_known_device_has_ten_tries_of_its_own() -> None:
    factories.owner()
    laptop = device("laptop")
    sign_in(laptop)

    fail_to_sign_in(laptop, times=10)

    with refused(LockedOut):
        sign_in(laptop)
    assert sign_in(device())


def test_a_sign_in_gives_the_tries_back() -> None:
    factories.owner()
    laptop = device("laptop")
    for _ in range(2):
        fail_to_sign_in(laptop, times=9)
        sign_in(laptop)

    fail_to_sign_in(laptop, times=9)


@few_misses
def test_wrong_passwords_are_misses_of_the_address() -> None:
    factories.owner()
    factories.owner(username="otto")
    fail_to_sign_in(device(), times=5)

    with refused(LockedOut):
        accounts.sign_in("otto", PASSWORD, origin=device(), now=NOW)


@few_misses
def test_people_behind_one_address_without_devices_are_not_one_device() -> None:  # case 93
    code = code_of(factories.invitation(factories.owner(), max_uses=2))
    ann, bob = Origin("", "192.0.2.1", "an app"), Origin("", "192.0.2.1", "an app")

    assert [guess(ann) for _ in range(4)] == [None] * 4
    first, second = (factories.redeem(code, origin=one, now=NOW) for one in (ann, bob))
    assert first.id != second.id

    guess(bob)
    be_locked_out(ann, code=code)
    assert lockout.locked_devices(now=NOW) == 0


def test_wrong_passwords_cost_no_tries_of_codes() -> None:
    factories.owner()
    phone = device()
    fail_to_sign_in(phone, times=5)

    assert guess(phone) == 2
