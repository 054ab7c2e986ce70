"""Second factors: an app, its recovery codes, and an owner who asks all staff for one."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.domain.accounts import accounts, admin, login, two_factor
from portal.domain.accounts.login import SecondStep
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountDeactivated,
    LockedOut,
    NotAllowed,
    SecondFactorDue,
    SecondFactorRefused,
    SecondFactorRequired,
    SignInRequired,
)
from portal.extensions import db
from portal.models import Account, Role, Session
from tests import factories
from tests.authenticators import App, app_of
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, device, mails_to

pytestmark = pytest.mark.usefixtures("context")

HALF_A_MINUTE = timedelta(seconds=30)


@pytest.fixture
def olivia() -> Account:
    """The owner."""
    return factories.owner()


@pytest.fixture
def alice(olivia: Account) -> Account:
    """An admin."""
    return factories.staff(Role.ADMIN, "alice")


def begin(name: str = "alice", origin: Origin | None = None) -> str:
    """Show the password; get the token for the second step."""
    step = login.begin(name, PASSWORD, origin=origin or device(), now=NOW)
    assert isinstance(step, SecondStep)
    return step.token


def finish(token: str, code: str, origin: Origin | None = None, **when: timedelta) -> Session:
    """Take the second step."""
    now = NOW + sum(when.values(), timedelta())
    return login.finish(token, code, origin=origin or device(), now=now)


def require(required: bool, by: Account) -> None:
    """Ask all staff for a second factor, or no more."""
    two_factor.require_of_staff(required, by=by, origin=device(), now=NOW)


# --- Setting up ---


def test_an_app_counts_only_once_a_code_confirmed_it(alice: Account) -> None:
    two_factor.begin_totp(alice)
    assert not two_factor.are_set_up(stored(alice))

    with refused(SecondFactorRefused):
        two_factor.confirm_totp(alice, "000000", origin=device(), now=NOW)
    assert not two_factor.are_set_up(stored(alice))

    pending = two_factor.pending_totp(alice)
    assert pending is not None
    code = App(pending.secret).code()
    assert len(two_factor.confirm_totp(alice, code, origin=device(), now=NOW)) == 10
    assert two_factor.are_set_up(stored(alice))
    assert audit.latest(1)[0].action == "second_factor.app_added"
    assert mails_to("alice@example.org") == ["second_factor_app_added"]


def test_a_confirmed_secret_is_shown_to_nobody(alice: Account) -> None:
    app_of(alice)

    assert two_factor.pending_totp(stored(alice)) is None
    with refused(NotAllowed):
        two_factor.begin_totp(alice)


def test_nobody_confirms_what_was_never_begun(alice: Account) -> None:
    with refused(SecondFactorRefused):
        two_factor.confirm_totp(alice, "000000", origin=device(), now=NOW)


def test_the_secret_is_sealed_and_bound_to_its_account(alice: Account, olivia: Account) -> None:
    app, _ = app_of(alice)
    assert alice.totp_sealed is not None
    assert app.secret.encode() not in alice.totp_sealed


def test_the_app_is_told_who_and_where(alice: Account) -> None:
    two_factor.begin_totp(alice)
    pending = two_factor.pending_totp(stored(alice))
    assert pending is not None
    uri = pending.provisioning_uri()
    assert uri.startswith("otpauth://totp/Invitation%20Portal:alice%40example.org?secret=")


# --- Signing in ---


def test_a_password_alone_is_enough_without_a_second_factor(alice: Account) -> None:
    assert isinstance(login.begin("alice", PASSWORD, origin=device(), now=NOW), Session)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_of_the_app_is_the_second_step(alice: Account, steps: int) -> None:
    app, _ = app_of(alice)

    session = finish(begin(), app.code(steps=steps))

    assert stored(session).account_id == alice.id


@pytest.mark.parametrize("steps", [-3, -2, 2, 3])
def test_a_code_of_another_time_is_refused(alice: Account, steps: int) -> None:
    app, _ = app_of(alice, NOW - timedelta(minutes=5))

    with refused(SecondFactorRefused):
        finish(begin(), app.code(steps=steps))


def test_a_code_is_read_as_people_type_it(alice: Account) -> None:
    app, _ = app_of(alice)
    code = app.code()

    fullwidth = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    assert finish(begin(), f" {fullwidth[:3]} {fullwidth[3:]} ")


def test_a_code_is_good_once(alice: Account) -> None:
    app, _ = app_of(alice)
    finish(begin(), app.code())

    with refused(SecondFactorRefused):
        finish(begin(), app.code())


def test_a_code_from_before_the_one_used_last_is_refused(alice: Account) -> None:
    app, _ = app_of(alice)
    finish(begin(), app.code(steps=1))

    with refused(SecondFactorRefused):
        finish(begin(), app.code())


def test_the_code_that_confirmed_the_app_signs_nobody_in(alice: Account) -> None:
    app, _ = app_of(alice, NOW + timedelta(minutes=1))

    with refused(SecondFactorRefused):
        finish(begin(), app.code())


@pytest.mark.parametrize("code", ["", "000000", "x" * 100_000, "\0", "12345", "½½½½½½"])
def test_a_wrong_code_is_refused_and_written_down(alice: Account, code: str) -> None:
    app_of(alice)

    with refused(SecondFactorRefused):
        finish(begin(), code)

    assert audit.latest(1)[0].action == "second_factor.refused"


def test_a_recovery_code_stands_in_for_the_app_once(alice: Account) -> None:
    _, codes = app_of(alice)

    assert finish(begin(), codes[3].lower().replace("-", " "))

    assert two_factor.recovery_codes_left(alice) == 9
    with refused(SecondFactorRefused):
        finish(begin(), codes[3])


def test_a_recovery_code_is_good_for_its_own_account_only(alice: Account, olivia: Account) -> None:
    _, codes = app_of(alice)
    app_of(olivia)

    with refused(SecondFactorRefused):
        finish(begin("olivia"), codes[0])


def test_recovery_codes_are_stored_as_digests(alice: Account) -> None:
    _, codes = app_of(alice)

    digests = db.session.execute(sa.text("SELECT digest FROM recovery_code")).scalars()
    assert all(code.encode() not in bytes(each) for each in digests for code in codes)


def test_new_recovery_codes_are_the_end_of_the_old(alice: Account) -> None:
    _, old = app_of(alice)

    new = two_factor.renew_recovery_codes(alice, origin=device(), now=NOW)

    assert set(new).isdisjoint(old)
    assert mails_to("alice@example.org")[-1] == "second_factor_codes_renewed"
    with refused(SecondFactorRefused):
        finish(begin(), old[0])
    assert finish(begin(), new[0])


def test_who_has_no_second_factor_has_no_recovery_codes(alice: Account) -> None:
    with refused(NotAllowed):
        two_factor.renew_recovery_codes(alice, origin=device(), now=NOW)


# --- Between the two steps ---


def test_the_first_step_opens_no_session(alice: Account) -> None:
    app_of(alice)
    begin()

    assert db.session.scalars(sa.select(Session)).all() == []


def test_the_first_step_is_good_for_one_sign_in(alice: Account) -> None:
    app, codes = app_of(alice)
    token = begin()
    finish(token, app.code())

    with refused(SignInRequired):
        finish(token, codes[0])


def test_the_first_step_is_forgotten_after_ten_minutes(alice: Account) -> None:
    _, codes = app_of(alice)
    token = begin()

    with refused(SignInRequired):
        finish(token, codes[0], later=timedelta(minutes=10))


@pytest.mark.parametrize("token", ["", "nonsense", "\0"])
def test_nobody_skips_the_first_step(alice: Account, token: str) -> None:
    _, codes = app_of(alice)

    with refused(SignInRequired):
        finish(token, codes[0])


def test_who_is_deactivated_between_the_steps_stays_out(alice: Account) -> None:
    app, _ = app_of(alice)
    token = begin()
    alice.deactivated_at = NOW
    db.session.commit()

    with refused(SignInRequired):
        finish(token, app.code())
    with refused(AccountDeactivated):
        begin()


def test_ten_wrong_codes_close_the_second_step_to_strangers_not_to_a_known_device(
    alice: Account, olivia: Account
) -> None:  # case 17
    laptop = device()
    app, codes = app_of(alice)
    finish(begin(), codes[0], laptop)
    token = begin()
    for _ in range(10):
        with refused(SecondFactorRefused):
            finish(token, "000000")

    with refused(LockedOut):
        finish(token, app.code())
    assert finish(begin(), app.code(), laptop)
    admin.unlock(alice, by=olivia, origin=device(), now=NOW)
    assert finish(begin(), codes[1])


def test_a_right_password_does_not_give_the_second_step_its_tries_back(alice: Account) -> None:
    app, _ = app_of(alice)
    for _ in range(10):
        with refused(SecondFactorRefused):
            finish(begin(), "000000")

    with refused(LockedOut):
        finish(begin(), app.code())


def test_a_program_that_knows_only_the_password_is_refused(alice: Account) -> None:
    app_of(alice)

    with refused(SecondFactorRequired):
        accounts.sign_in("alice", PASSWORD, origin=device(), now=NOW)


# --- Removing ---


def test_without_the_app_the_password_is_enough_again(alice: Account) -> None:
    app_of(alice)

    two_factor.remove_totp(alice, origin=device(), now=NOW)

    assert isinstance(login.begin("alice", PASSWORD, origin=device(), now=NOW), Session)
    assert two_factor.recovery_codes_left(alice) == 0
    assert stored(alice).totp_sealed is None
    assert "second_factor_app_removed" in mails_to("alice@example.org")


def test_nobody_is_told_of_an_app_that_was_not_there(alice: Account) -> None:
    two_factor.remove_totp(alice, origin=device(), now=NOW)

    assert mails_to("alice@example.org") == []


def test_an_owner_helps_whoever_lost_everything(alice: Account, olivia: Account) -> None:
    app_of(alice)

    two_factor.remove_all(alice, by=olivia, origin=device(), now=NOW)

    assert not two_factor.are_set_up(stored(alice))
    assert two_factor.recovery_codes_left(alice) == 0
    assert mails_to("alice@example.org")[-1] == "second_factor_all_removed"


@pytest.mark.parametrize("name", ["alice", "olivia"])
def test_nobody_else_takes_a_second_factor_away(alice: Account, olivia: Account, name: str) -> None:
    app_of(olivia)
    by = {"alice": alice, "olivia": olivia}[name]

    with refused(NotAllowed):
        two_factor.remove_all(olivia, by=by, origin=device(), now=NOW)


# --- Asking all staff for one ---


def test_an_owner_asks_all_staff_for_a_second_factor(alice: Account, olivia: Account) -> None:
    mia = factories.staff(Role.MEMBER, "mia")
    app_of(olivia)

    require(True, olivia)

    due = [two_factor.are_due(person) for person in (alice, olivia, mia)]
    assert due == [True, False, False]
    app_of(alice)
    assert not two_factor.are_due(stored(alice))


def test_an_owner_without_one_asks_nobody(olivia: Account) -> None:
    with refused(SecondFactorDue):
        require(True, olivia)


def test_only_an_owner_asks_all_staff(alice: Account) -> None:
    app_of(alice)

    with refused(NotAllowed):
        require(True, alice)


def test_a_requirement_is_taken_back(alice: Account, olivia: Account) -> None:
    app_of(olivia)
    require(True, olivia)
    require(False, olivia)

    assert not two_factor.are_due(alice)


def test_staff_who_need_one_and_have_none_get_in_by_no_program(
    alice: Account, olivia: Account
) -> None:
    app_of(olivia)
    require(True, olivia)

    with refused(SecondFactorRequired):
        accounts.sign_in("alice", PASSWORD, origin=device(), now=NOW)
