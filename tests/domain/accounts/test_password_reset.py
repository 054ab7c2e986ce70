"""Forgotten passwords: a mailed code sets a new one, and does nothing else."""

import pytest

from portal.domain.accounts import accounts, password_reset, sessions
from portal.domain.errors import (
    EmailUnconfirmed,
    InvalidCredentials,
    VerificationRefused,
    WeakPassword,
)
from portal.models import Account, Purpose, Role
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device, mails_to, sent_to

pytestmark = pytest.mark.usefixtures("context")

NEW = "a new battery staple"


@pytest.fixture
def mia() -> Account:
    """A member."""
    return factories.member()


def ask(identity: str = "mia@example.org") -> str:
    """Ask for a code; return it."""
    password_reset.request(identity, origin=device(), now=NOW)
    return sent_to("mia@example.org")[0]


def finish(code: str, identity: str = "mia@example.org", password: str = NEW, **changes: object):
    """Set the new password."""
    values = {"origin": device(), "now": NOW} | changes
    return password_reset.finish(identity, code, password, **values)


def test_the_mailed_code_sets_a_new_password_and_ends_every_session(mia: Account) -> None:
    signed_in = accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)

    finish(ask())

    assert sessions.find_staff(signed_in.id, now=NOW) is None  # case 29
    assert mails_to("mia@example.org")[-1] == "password_changed"
    assert accounts.sign_in("mia", NEW, origin=device(), now=NOW)
    with refused(InvalidCredentials):
        accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)


def test_a_username_asks_as_well(mia: Account) -> None:
    finish(ask("MIA"), "mia")

    assert accounts.sign_in("mia", NEW, origin=device(), now=NOW)


# case 5
def test_nobody_gets_no_mail_and_the_same_answer(mia: Account) -> None:
    assert password_reset.request("nobody@example.org", origin=device(), now=NOW) is None
    assert mails_to("nobody@example.org") == []


def test_a_deactivated_account_gets_no_code(mia: Account) -> None:
    mia.deactivated_at = NOW

    password_reset.request(mia.email, origin=device(), now=NOW)

    assert mails_to(mia.email) == ["activation"]


def test_a_weak_password_leaves_the_code_good(mia: Account) -> None:
    code = ask()

    with refused(WeakPassword):
        finish(code, password="short")
    finish(code)


def test_a_used_code_takes_the_other_codes_with_it(mia: Account) -> None:
    first, second = ask(), ask()

    finish(second)

    with refused(VerificationRefused):
        finish(first)


def test_the_code_can_be_exchanged_before_the_password_is_chosen(mia: Account) -> None:
    code = password_reset.exchange(mia.email, ask(), origin=device(), now=NOW)

    finish(code, step=Purpose.NEW_PASSWORD)

    assert accounts.sign_in("mia", NEW, origin=device(), now=NOW)


# case 45
def test_no_step_can_be_skipped(mia: Account) -> None:
    mailed = ask()
    with refused(VerificationRefused):
        finish(mailed, step=Purpose.NEW_PASSWORD)
    exchanged = password_reset.exchange(mia.email, mailed, origin=device(), now=NOW)
    for code, step in ((mailed, Purpose.RESET), (exchanged, Purpose.RESET)):
        with refused(VerificationRefused):
            finish(code, step=step)
    factories.member("ana")
    with refused(VerificationRefused):
        finish(exchanged, "ana@example.org", step=Purpose.NEW_PASSWORD)


# case 46
def test_a_reset_confirms_no_email_and_accepts_no_invitation() -> None:
    invited = factories.invitation(
        factories.owner(), grants_role=Role.ADMIN, recipient="mia@example.org"
    )
    mia = factories.newcomer()

    finish(ask())

    assert (stored(mia).role, mia.confirmed_at) == (Role.MEMBER, None)
    assert stored(invited).uses == 0
    with refused(EmailUnconfirmed):
        accounts.sign_in("mia", NEW, origin=device(), now=NOW)
    with refused(VerificationRefused):
        finish(code_of(invited))
