"""Members: they sign up, by a code or without, and confirm their e-mail."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.domain.accounts import accounts, registration
from portal.domain.accounts.profile import Profile
from portal.domain.errors import (
    AccountTaken,
    AskedTooOften,
    CodeRefused,
    EmailUnconfirmed,
    InvalidCredentials,
    InvalidEmail,
    InvalidPhone,
    InvitationUsed,
    NotFound,
    RegistrationClosed,
    VerificationRefused,
    WeakPassword,
    WrongRecipient,
)
from portal.extensions import db
from portal.models import Account, Redemption, Role
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device, mails_to, sent_to

pytestmark = pytest.mark.usefixtures("context")

by_invitation = pytest.mark.parametrize("settings_changes", [{"member_registration": "invite"}])
closed = pytest.mark.parametrize("settings_changes", [{"member_registration": "closed"}])

EMAIL = "mia@example.org"


def sign_up(email: str = EMAIL, **changes: object) -> Account | None:
    """Sign up without choosing a username."""
    values = {"password": PASSWORD, "origin": device(), "now": NOW} | changes
    return registration.sign_up(email=email, **values)


def how_many() -> int:
    """The accounts there are."""
    db.session.rollback()
    return db.session.scalars(sa.select(sa.func.count()).select_from(Account)).one()


def test_whoever_signs_up_is_a_member_once_the_mailed_code_is_entered() -> None:
    assert sign_up() is not None
    with refused(EmailUnconfirmed):
        accounts.sign_in(EMAIL, PASSWORD, origin=device(), now=NOW)

    mia = registration.activate(EMAIL, sent_to(EMAIL)[0], origin=device(), now=NOW)

    assert (stored(mia).role, mia.confirmed_at) == (Role.MEMBER, NOW)
    assert accounts.sign_in(EMAIL, PASSWORD, origin=device(), now=NOW).account_id == mia.id


def test_the_mailed_link_confirms_as_well() -> None:
    sign_up()

    mia = registration.activate_by_link(sent_to(EMAIL)[1], origin=device(), now=NOW)

    assert stored(mia).confirmed_at == NOW


def test_an_unconfirmed_account_tells_nothing_to_a_wrong_password() -> None:
    sign_up()

    with refused(InvalidCredentials):
        accounts.sign_in(EMAIL, "not the password", origin=device(), now=NOW)


def test_accounts_are_numbered_in_the_order_they_come() -> None:
    serials = [factories.newcomer(name).serial for name in ("ana", "budi", "citra")]

    assert serials == [1, 2, 3]


def test_a_profile_is_stored_in_its_normal_form() -> None:
    profile = Profile(first_name=" Mia ", last_name="Sari", phone="0812-3456-7890", language="id")

    mia = sign_up(profile=profile)

    assert mia is not None
    assert (stored(mia).first_name, mia.last_name) == ("Mia", "Sari")
    assert (mia.phone, mia.language) == ("+6281234567890", "id")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"email": "nobody"}, InvalidEmail),
        ({"email": "a@x.org,b@y.org"}, InvalidEmail),  # case 42
        ({"password": "short"}, WeakPassword),
        ({"password": "password1"}, WeakPassword),
        ({"password": "x" * 1024 * 1024}, WeakPassword),  # case 69
        ({"profile": Profile(phone="12")}, InvalidPhone),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    changes: dict[str, object], error: type[Exception]
) -> None:
    with refused(error):
        sign_up(**changes)

    assert how_many() == 0


# cases 5 and 23
def test_an_address_in_another_case_is_the_same_and_its_owner_is_written_to() -> None:
    factories.member()

    assert sign_up("MIA@Example.ORG") is None

    assert how_many() == 1
    assert mails_to(EMAIL) == ["activation", "account_exists"]
    assert accounts.sign_in(EMAIL, PASSWORD, origin=device(), now=NOW)


def test_signing_up_again_before_confirming_sends_the_code_anew() -> None:
    sign_up()

    assert sign_up(password="another good password") is None

    assert mails_to(EMAIL) == ["activation", "activation"]
    registration.activate(EMAIL, sent_to(EMAIL)[0], origin=device(), now=NOW)
    with refused(InvalidCredentials):
        accounts.sign_in(EMAIL, "another good password", origin=device(), now=NOW)


def test_a_taken_username_is_said() -> None:
    factories.member("mia")

    with refused(AccountTaken):
        sign_up("other@example.org", username="MIA")
    assert how_many() == 1


@closed
def test_nobody_signs_up_where_it_is_closed() -> None:
    code = code_of(factories.invitation(factories.owner()))

    for typed in (None, code):
        with refused(RegistrationClosed):
            sign_up(invitation_code=typed)


@by_invitation
def test_by_invitation_a_code_is_used_in_the_same_transaction() -> None:
    invited = factories.invitation(factories.owner())
    for typed in (None, ""):
        with refused(RegistrationClosed):
            sign_up(invitation_code=typed)

    mia = sign_up(invitation_code=code_of(invited))

    assert mia is not None
    assert (stored(mia).role, stored(invited).uses) == (Role.MEMBER, 1)
    assert db.session.scalars(sa.select(Redemption.account_id)).one() == mia.id
    with refused(InvitationUsed):
        sign_up("ana@example.org", invitation_code=code_of(invited))
    assert accounts.find("ana@example.org") is None


@by_invitation
def test_a_taken_address_uses_no_invitation_up() -> None:
    factories.member("mia", invitation_code=code_of(factories.invitation(factories.owner())))
    invited = factories.invitation(accounts.find("olivia"))

    assert sign_up(invitation_code=code_of(invited)) is None

    assert stored(invited).uses == 0


@by_invitation
def test_a_wrong_code_leaves_no_account_behind_and_costs_a_try() -> None:
    with refused(CodeRefused) as refusal:
        sign_up(invitation_code="no such code")

    assert refusal.value.tries_left == 2
    assert how_many() == 0


@by_invitation
def test_a_code_for_somebody_else_makes_no_account() -> None:
    invited = factories.invitation(factories.owner(), recipient="ana@example.org")

    with refused(WrongRecipient):
        sign_up(invitation_code=code_of(invited))

    assert sign_up("ana@example.org", invitation_code=code_of(invited))


def test_a_staff_code_grants_its_role() -> None:
    invited = factories.invitation(factories.owner(), grants_role=Role.VIEWER)

    vera = sign_up("vera@example.org", invitation_code=code_of(invited))

    assert vera is not None
    assert stored(vera).role is Role.VIEWER


def test_whoever_was_let_in_already_makes_one_account_by_that_and_no_more() -> None:
    invited = factories.invitation(factories.owner())
    phone = device()
    factories.redeem(code_of(invited), origin=phone, now=NOW)

    mia = sign_up(invitation_code=code_of(invited), origin=phone)

    assert mia is not None
    assert stored(invited).uses == 1
    assert db.session.scalars(sa.select(Redemption.account_id)).one() == mia.id
    with refused(InvitationUsed):
        sign_up("ana@example.org", invitation_code=code_of(invited), origin=phone)


# case 47
def test_a_hundred_resends_bring_three_mails() -> None:
    sign_up()

    for number in range(100):
        origin = device(address=f"192.0.2.{number}")
        registration.resend(EMAIL, origin=origin, now=NOW)

    assert mails_to(EMAIL) == ["activation"] * 3


# case 5
def test_resending_to_nobody_or_to_a_member_sends_nothing() -> None:
    factories.member()

    for identity in (EMAIL, "nobody@example.org"):
        registration.resend(identity, origin=device(), now=NOW)

    assert mails_to(EMAIL) == ["activation"]
    assert mails_to("nobody@example.org") == []


def test_one_address_does_not_ask_for_mails_without_end() -> None:
    for _ in range(100):
        registration.resend("nobody@example.org", origin=device(), now=NOW)

    with refused(AskedTooOften):
        registration.resend("nobody@example.org", origin=device(), now=NOW)
    with refused(AskedTooOften):
        sign_up()
    assert sign_up(origin=device(address="198.51.100.7"))


def test_an_old_link_still_asks_for_a_new_one() -> None:
    sign_up()
    token = sent_to(EMAIL)[1]
    later = NOW + timedelta(days=3)

    registration.resend_by_link(token, now=later)

    with refused(VerificationRefused):
        registration.activate_by_link(token, origin=device(), now=later)
    assert registration.activate_by_link(sent_to(EMAIL)[1], origin=device(), now=later)
    with refused(NotFound):
        registration.resend_by_link("made up", now=later)
