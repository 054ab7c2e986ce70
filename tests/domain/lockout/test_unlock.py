"""The unlock desk: who is locked out, how near they were, and letting them try again."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import CodeRefused, LockedOut, NotAllowed, NotFound
from portal.domain.invitations import codes, invitations
from portal.domain.lockout import near_misses, unlock
from portal.domain.lockout.unlock import LockedDevice
from portal.extensions import db
from portal.models import Account, RefusedGuess, Role
from tests import factories
from tests.domain.outcomes import refused
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

WRONG = "WRONGWRONG12"
PHONE = device("phone", "2001:db8:1:2:3::4")


@pytest.fixture
def olivia(context: None) -> Account:
    """The owner."""
    return factories.owner()


def guess(*entered: str, origin: Origin = PHONE) -> None:
    """Enter wrong codes, a second apart."""
    for number, code in enumerate(entered):
        with pytest.raises((CodeRefused, LockedOut)):
            factories.redeem(code, origin=origin, now=NOW + timedelta(seconds=number))


def the_locked_device(by: Account) -> LockedDevice:
    """The only one there is."""
    [found] = unlock.devices(by=by, now=NOW + timedelta(minutes=1))
    return found


def slip(code: str) -> str:
    """The code with one character changed."""
    return code[:4] + ("2" if code[4] != "2" else "3") + code[5:]


def test_a_locked_device_is_listed_with_its_refusals_and_its_end(olivia: Account) -> None:
    guess(WRONG, WRONG, WRONG)
    guess(WRONG, origin=device())

    found = the_locked_device(olivia)

    assert found.digest == PHONE.device_digest
    assert found.until == NOW + timedelta(minutes=30, seconds=2)
    assert found.refused_at == [NOW + timedelta(seconds=number) for number in (2, 1, 0)]
    assert found.address_bucket == "2001:db8:1:2::/64"
    assert found.near_misses == []


def test_a_lock_that_is_over_is_not_listed(olivia: Account) -> None:
    guess(WRONG, WRONG, WRONG)

    assert unlock.devices(by=olivia, now=NOW + timedelta(minutes=31)) == []


def test_an_unlocked_device_has_all_its_tries_again(olivia: Account) -> None:
    party = factories.invitation(olivia)
    guess(WRONG, WRONG, WRONG)

    unlock.release_device(PHONE.device_digest, by=olivia, origin=device(), now=NOW)

    guess(WRONG, WRONG)
    assert factories.redeem(code_of(party), origin=PHONE, now=NOW)
    unlocked = [event for event in audit.latest(9) if event.action == "device.unlocked"]
    assert [event.actor_id for event in unlocked] == [olivia.id]
    assert unlocked[0].details == {"released": PHONE.device_digest[:16]}


@pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 2}])
def test_an_unlocked_address_has_its_budget_again(olivia: Account) -> None:
    party = factories.invitation(olivia)
    guess(WRONG, origin=device("one", PHONE.address))
    guess(WRONG, origin=device("two", PHONE.address))
    with refused(LockedOut):
        factories.redeem(code_of(party), origin=PHONE, now=NOW)
    [spent] = unlock.addresses(by=olivia, now=NOW)

    unlock.release_address(spent.bucket, by=olivia, origin=device(), now=NOW)

    assert spent.bucket == PHONE.address_bucket
    assert factories.redeem(code_of(party), origin=PHONE, now=NOW)
    [event] = [event for event in audit.latest(9) if event.action == "address.unlocked"]
    assert "2001" not in str(event.details)


def test_whoever_is_not_locked_cannot_be_unlocked(olivia: Account) -> None:
    with refused(NotFound):
        unlock.release_device("0" * 64, by=olivia, origin=device(), now=NOW)
    with refused(NotFound):
        unlock.release_address("192.0.2.1", by=olivia, origin=device(), now=NOW)


def test_viewers_neither_look_nor_unlock(olivia: Account) -> None:
    guess(WRONG, WRONG, WRONG)
    vera = factories.staff(Role.VIEWER, "vera")

    with refused(NotAllowed):
        unlock.devices(by=vera, now=NOW)
    with refused(NotAllowed):
        unlock.addresses(by=vera, now=NOW)
    with refused(NotAllowed):
        unlock.release_device(PHONE.device_digest, by=vera, origin=device(), now=NOW)
    with refused(NotAllowed):
        unlock.release_address("192.0.2.1", by=vera, origin=device(), now=NOW)


# --- How near they were ---


def test_a_guess_one_symbol_away_is_pointed_out_and_lets_nobody_in(olivia: Account) -> None:
    party = factories.invitation(olivia, label="Party")
    code = code_of(party)
    guess(slip(code), code[:-1], code + "X")

    near = the_locked_device(olivia).near_misses

    assert [miss.invitation.id for miss in near] == [party.id] * 3
    assert [miss.at for miss in near] == [NOW + timedelta(seconds=number) for number in (2, 1, 0)]
    assert party.uses == 0


def test_a_guess_near_a_code_of_ones_own_is_pointed_out(olivia: Account) -> None:
    party = factories.invitation(olivia, code="GARDEN-PARTY-26")
    guess("garden party 27", WRONG, WRONG)

    [near] = the_locked_device(olivia).near_misses

    assert near.invitation.id == party.id


def test_a_guess_two_symbols_away_is_not_near(olivia: Account) -> None:
    code = code_of(factories.invitation(olivia))
    others = "".join("Y" if symbol == "Z" else "Z" for symbol in code[:2])
    guess(others + code[2:], WRONG, WRONG)

    assert the_locked_device(olivia).near_misses == []


@pytest.mark.parametrize("state", ["revoked", "expired", "used"])
def test_a_guess_near_a_code_that_is_not_open_is_not_pointed_out(
    olivia: Account, state: str
) -> None:
    ends = NOW + timedelta(seconds=30 if state == "expired" else 3600)
    party = factories.invitation(olivia, expires_at=ends)
    if state == "revoked":
        invitations.revoke(party, by=olivia, origin=device(), now=NOW)
    if state == "used":
        factories.redeem(code_of(party), origin=device(), now=NOW)
    guess(slip(code_of(party)), WRONG, WRONG)

    assert the_locked_device(olivia).near_misses == []


def test_guesses_are_kept_sealed(olivia: Account) -> None:
    guess(WRONG)

    kept = db.session.scalars(sa.select(RefusedGuess)).one()
    assert codes.canonical(WRONG).encode() not in kept.sealed
    assert near_misses._unseal(kept) == codes.canonical(WRONG)


@pytest.mark.parametrize("entered", ["", "ABC", "X" * 100, "X" * 100_000, "ünïcödé12345"])
def test_what_is_no_slip_of_a_finger_is_not_kept(olivia: Account, entered: str) -> None:
    guess(entered)

    assert db.session.scalars(sa.select(RefusedGuess)).all() == []


def test_neighbours_are_one_symbol_changed_added_or_left_out() -> None:
    found = set(near_misses.neighbours("AB"))

    assert {"A", "B", "CB", "AC", "CAB", "ACB", "ABC"} <= found
    assert not {"", "CD", "BA", "ABCD"} & found
