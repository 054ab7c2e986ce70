"""New passwords and new e-mails, by whoever is signed in."""

import pytest

from portal.domain.accounts import accounts, credentials, password_reset, sessions
from portal.domain.errors import (
    InvalidCredentials,
    InvalidEmail,
    VerificationRefused,
    WeakPassword,
)
from portal.models import Account, Session
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, device, mails_to, sent_to

pytestmark = pytest.mark.usefixtures("context")

NEW = "a new battery staple"


@pytest.fixture
def mia() -> Account:
    """A member."""
    return factories.member()


def signed_in() -> Session:
    """A session of Mia's on a new device."""
    return accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)


def move(account: Account, email: str, password: str = PASSWORD) -> str:
    """Ask for another e-mail."""
    here = factories.session_of(account)
    return credentials.request_new_email(
        account, email, password, session=here, origin=device(), now=NOW
    )


# case 29
def test_a_new_password_ends_the_other_sessions(mia: Account) -> None:
    here, there = signed_in(), signed_in()

    ended = credentials.change_password(mia, PASSWORD, NEW, keeps=here, origin=device(), now=NOW)

    assert ended == 1
    assert sessions.find_staff(here.id, now=NOW)
    assert sessions.find_staff(there.id, now=NOW) is None
    assert mails_to("mia@example.org")[-1] == "password_changed"
    assert accounts.sign_in("mia", NEW, origin=device(), now=NOW)


def test_the_password_before_is_asked_for(mia: Account) -> None:
    here = signed_in()
    with refused(InvalidCredentials):
        credentials.change_password(mia, "wrong", NEW, keeps=here, origin=device(), now=NOW)
    with refused(WeakPassword):
        credentials.change_password(mia, PASSWORD, "short", keeps=here, origin=device(), now=NOW)


def test_a_new_email_is_confirmed_there_and_told_to_the_old(mia: Account) -> None:
    move(mia, "Mia@New.example.org")
    assert stored(mia).email == "mia@example.org"

    code, _ = sent_to("mia@new.example.org")
    credentials.confirm_new_email(mia, code, origin=device(), now=NOW)

    assert stored(mia).email == "mia@new.example.org"
    assert mails_to("mia@example.org")[-1] == "email_changed"


def test_the_link_in_the_mail_confirms_as_well(mia: Account) -> None:
    move(mia, "mia@new.example.org")

    _, token = sent_to("mia@new.example.org")
    credentials.confirm_new_email_by_link(token, origin=device(), now=NOW)

    assert stored(mia).email == "mia@new.example.org"


def test_a_new_email_needs_the_password_and_a_form(mia: Account) -> None:
    with refused(InvalidCredentials):
        move(mia, "mia@new.example.org", "wrong")
    with refused(InvalidEmail):
        move(mia, "a@x.org,b@y.org")
    assert mails_to("mia@new.example.org") == []


# case 25
def test_a_token_confirms_only_the_address_in_its_own_row(mia: Account) -> None:
    move(mia, "first@example.org")
    _, first = sent_to("first@example.org")
    move(mia, "second@example.org")

    credentials.confirm_new_email_by_link(first, origin=device(), now=NOW)

    assert stored(mia).email == "first@example.org"


def test_after_a_change_nothing_sent_before_is_good(mia: Account) -> None:
    password_reset.request("mia", origin=device(), now=NOW)
    old_mailbox, _ = sent_to("mia@example.org")
    move(mia, "second@example.org")
    _, second = sent_to("second@example.org")
    move(mia, "first@example.org")
    _, first = sent_to("first@example.org")

    credentials.confirm_new_email_by_link(first, origin=device(), now=NOW)

    with refused(VerificationRefused):
        credentials.confirm_new_email_by_link(second, origin=device(), now=NOW)
    with refused(VerificationRefused):
        password_reset.finish("mia", old_mailbox, NEW, origin=device(), now=NOW)


def test_an_address_of_somebody_else_is_not_given_away(mia: Account) -> None:
    factories.member("ana")

    assert move(mia, "ana@example.org") == "ana@example.org"

    assert mails_to("ana@example.org") == ["activation", "account_exists"]


def test_an_address_taken_meanwhile_is_refused(mia: Account) -> None:
    move(mia, "ana@example.org")
    _, token = sent_to("ana@example.org")
    factories.member("ana")

    with pytest.raises(credentials.AccountTaken):
        credentials.confirm_new_email_by_link(token, origin=device(), now=NOW)
    assert stored(mia).email == "mia@example.org"
