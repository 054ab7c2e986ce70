"""The password shown again within a session: ten tries, whatever device they are made on."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.domain.accounts import (
    accounts,
    admin,
    credentials,
    deletion,
    reauthentication,
    sessions,
)
from portal.domain.audit import audit
from portal.domain.errors import InvalidCredentials, LockedOut, SessionEnded
from portal.models import Account, Session
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, device

pytestmark = pytest.mark.usefixtures("context")

NEW = "a new battery staple"
HALF_AN_HOUR = timedelta(minutes=31)

few_misses = pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 3}])

Ask = Callable[[Account, Session, str], object]


def change_password(account: Account, session: Session, password: str) -> object:
    """Choose a new password."""
    return credentials.change_password(
        account, password, NEW, keeps=session, origin=device(), now=NOW
    )


def request_new_email(account: Account, session: Session, password: str) -> object:
    """Ask for another e-mail."""
    return credentials.request_new_email(
        account, "new@example.org", password, session=session, origin=device(), now=NOW
    )


def erase(account: Account, session: Session, password: str) -> object:
    """Delete the account."""
    return deletion.erase(account, password, session=session, origin=device(), now=NOW)


@pytest.fixture
def mia() -> Account:
    """A member."""
    return factories.member()


def guess(account: Account, session: Session, after: timedelta = timedelta(), **at: str) -> None:
    """Show a wrong password, on a device nobody has used before."""
    reauthentication.require_password(
        account, "wrong", session=session, origin=device(**at), now=NOW + after
    )


def guess_wrong(account: Account, session: Session, times: int) -> None:
    """Guess so often, and be told so."""
    for _ in range(times):
        with refused(InvalidCredentials):
            guess(account, session)


# case 86
@pytest.mark.parametrize("ask", [change_password, request_new_email, erase])
def test_the_tenth_wrong_password_ends_the_session_whatever_asked_for_it(
    mia: Account, ask: Ask
) -> None:
    here = factories.session_of(mia)
    for _ in range(9):
        with refused(InvalidCredentials):
            ask(mia, here, "wrong")
    with refused(SessionEnded):
        ask(mia, here, "wrong")

    assert sessions.find_staff(here.id, now=NOW) is None
    assert [event.action for event in audit.latest(2)] == ["session.guessed_in", "sign_in.refused"]
    with refused(LockedOut):
        ask(mia, here, PASSWORD)
    assert accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)


# case 86
def test_patience_does_not_help_within_one_session(mia: Account) -> None:
    here = factories.session_of(mia)
    for number in range(9):
        with refused(InvalidCredentials):
            guess(mia, here, after=number * HALF_AN_HOUR)
    with refused(SessionEnded):
        guess(mia, here, after=9 * HALF_AN_HOUR)


# case 86
def test_a_session_that_should_have_ended_ends_at_the_next_try(mia: Account) -> None:
    """A worker may have been killed between the tenth try and its outcome."""
    here = factories.session_of(mia)
    here.wrong_passwords = 10

    with refused(SessionEnded):
        reauthentication.require_password(mia, PASSWORD, session=here, origin=device(), now=NOW)

    assert stored(here).revoked_at == NOW


# case 86
def test_the_sessions_of_an_account_share_its_tries(mia: Account) -> None:
    one, other = factories.session_of(mia), factories.session_of(mia)
    guess_wrong(mia, one, 5)
    guess_wrong(mia, other, 5)

    for session in (one, other):
        with refused(LockedOut):
            change_password(mia, session, PASSWORD)
        assert sessions.find_staff(session.id, now=NOW)


def test_the_right_password_gives_all_tries_back(mia: Account) -> None:
    here = factories.session_of(mia)
    guess_wrong(mia, here, 9)
    change_password(mia, here, PASSWORD)

    assert stored(here).wrong_passwords == 0
    guess_wrong(mia, here, 9)


# case 17
def test_guesses_within_a_session_keep_nobody_from_signing_in(mia: Account) -> None:
    stolen, phone = factories.session_of(mia), device("phone")
    accounts.sign_in("mia", PASSWORD, origin=phone, now=NOW)
    guess_wrong(mia, stolen, 9)
    with refused(SessionEnded):
        guess(mia, stolen)

    assert accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)
    here = accounts.sign_in("mia", PASSWORD, origin=phone, now=NOW)
    assert change_password(mia, here, PASSWORD)


# case 86
@few_misses
def test_wrong_passwords_count_against_the_address_which_then_has_to_wait(mia: Account) -> None:
    mias, ana = factories.session_of(mia), factories.member("ana")
    anas = factories.session_of(ana)
    for _ in range(3):
        with refused(InvalidCredentials):
            guess(mia, mias, address="203.0.113.9")

    with refused(LockedOut):
        guess(ana, anas, address="203.0.113.9")
    with refused(InvalidCredentials):
        guess(ana, anas, address="203.0.113.10")


def test_staff_see_and_lift_the_lock(mia: Account) -> None:
    olivia = factories.owner()
    one, other = factories.session_of(mia), factories.session_of(mia)
    guess_wrong(mia, one, 5)
    guess_wrong(mia, other, 5)
    assert admin.is_locked(mia, now=NOW)

    admin.unlock(mia, by=olivia, origin=device(), now=NOW)

    assert not admin.is_locked(mia, now=NOW)
    assert change_password(mia, one, PASSWORD)
