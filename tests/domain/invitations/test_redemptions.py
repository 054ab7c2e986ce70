"""What invitees do with a code."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    CodeRefused,
    InvalidEmail,
    InvitationExpired,
    InvitationNotOpen,
    InvitationUsed,
    LockedOut,
    PortalError,
    RecipientRequired,
    StaffInvitation,
    WrongRecipient,
)
from portal.domain.invitations import invitations, redemptions
from portal.extensions import db
from portal.models import Account, Invitation, Redemption, Role
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

TOMORROW = NOW + timedelta(days=1)
NEXT_WEEK = NOW + timedelta(days=7)


def revoked(by: Account) -> Invitation:
    """An invitation that was taken back."""
    invited = factories.invitation(by)
    invitations.revoke(invited, by=by, origin=device(), now=NOW)
    return invited


def ledger(invited: Invitation) -> int:
    """How many devices the ledger says were let in."""
    db.session.rollback()
    mine = sa.select(sa.func.count()).where(Redemption.invitation_id == invited.id)
    return db.session.scalars(mine).one()


def tries_left(phone: Origin) -> int | None:
    """How many more wrong codes this device would have, asked by using one up."""
    with refused(CodeRefused) as refusal:
        factories.redeem("no such code", origin=phone, now=NOW)
    return refusal.value.tries_left


def test_a_code_lets_a_device_in_and_uses_one_use() -> None:
    invited = factories.invitation(factories.owner(), max_uses=2)
    phone = device(address="2001:db8::1")

    redemption = factories.redeem(code_of(invited), origin=phone, now=NOW)

    assert stored(redemption).invitation_id == invited.id
    assert (redemption.device, redemption.at) == (phone.device_digest, NOW)
    assert (redemption.address, redemption.client) == ("2001:db8::1", "a test")
    assert (stored(invited).uses, ledger(invited)) == (1, 1)


def test_letting_a_device_in_is_audited() -> None:
    invited = factories.invitation(factories.owner())
    phone = device()

    factories.redeem(code_of(invited), origin=phone, now=NOW)

    event = audit.about(stored(invited).id)[-1]
    assert (event.action, event.device) == ("invitation.redeemed", phone.device_digest)


@pytest.mark.parametrize(
    "typed", ["garden party", "GARDENPARTY", "Garden-Party", "ｇａｒｄｅｎｐａｒｔｙ"]
)
def test_a_code_opens_however_it_is_typed(typed: str) -> None:  # case 6
    invited = factories.invitation(factories.owner(), code="Garden Party")

    assert factories.redeem(typed, origin=device(), now=NOW).invitation_id == invited.id


def test_a_spent_code_lets_no_other_device_in() -> None:
    invited = factories.invitation(factories.owner())
    factories.redeem(code_of(invited), origin=device(), now=NOW)

    with refused(InvitationUsed):
        factories.redeem(code_of(invited), origin=device(), now=NOW)

    assert (stored(invited).uses, ledger(invited)) == (1, 1)


def test_an_expired_code_says_when_it_ended() -> None:
    invited = factories.invitation(factories.owner())

    with refused(InvitationExpired) as refusal:
        factories.redeem(code_of(invited), origin=device(), now=NEXT_WEEK)

    assert refusal.value.expired_at == NEXT_WEEK
    assert stored(invited).uses == 0


def test_a_code_is_good_until_the_moment_it_ends() -> None:
    invited = factories.invitation(factories.owner())

    factories.redeem(code_of(invited), origin=device(), now=NEXT_WEEK - timedelta(microseconds=1))

    assert stored(invited).uses == 1


def test_a_code_that_is_not_open_yet_says_when_it_opens() -> None:
    invited = factories.invitation(factories.owner(), starts_at=TOMORROW)

    with refused(InvitationNotOpen) as refusal:
        factories.redeem(code_of(invited), origin=device(), now=NOW)

    assert refusal.value.starts_at == TOMORROW
    assert factories.redeem(code_of(invited), origin=device(), now=TOMORROW)


@pytest.mark.parametrize("verb", [redemptions.redeem, redemptions.admit, redemptions.check])
def test_unknown_malformed_and_revoked_codes_are_told_apart_nowhere(verb) -> None:  # case 3
    taken_back = code_of(revoked(factories.owner()))
    answers = set()
    for code in (taken_back, "K7QM-4TXB-9RWD", "K7QM", "", "\0", "' OR 1=1 --", "x" * 100_000):
        with refused(CodeRefused) as refusal:
            verb(code, origin=device(), now=NOW)
        answers.add((refusal.value.name, str(refusal.value), refusal.value.tries_left))

    assert len(answers) == 1


def test_a_revoked_code_does_not_know_its_devices_any_more() -> None:
    olivia = factories.owner()
    invited = factories.invitation(olivia)
    phone = device()
    factories.redeem(code_of(invited), origin=phone, now=NOW)
    invitations.revoke(invited, by=olivia, origin=device(), now=NOW)

    with refused(CodeRefused):
        factories.redeem(code_of(invited), origin=phone, now=NOW)


def test_the_same_device_again_uses_nothing_up() -> None:  # case 21
    invited = factories.invitation(factories.owner())
    phone = device()

    first = factories.redeem(code_of(invited), origin=phone, now=NOW)
    again = factories.redeem(code_of(invited), origin=phone, now=TOMORROW)

    assert (again.id, again.at) == (first.id, NOW)
    assert (stored(invited).uses, ledger(invited)) == (1, 1)
    assert [event.action for event in audit.about(invited.id)].count("invitation.redeemed") == 1


def test_the_same_device_again_is_given_the_session_it_has() -> None:  # case 21
    invited = factories.invitation(factories.owner())
    phone = device()

    first = redemptions.admit(code_of(invited), origin=phone, now=NOW)
    again = redemptions.admit(code_of(invited), origin=phone, now=NOW)

    assert first.id == again.id
    assert stored(invited).uses == 1


def test_a_returning_device_is_refused_after_the_end() -> None:
    invited = factories.invitation(factories.owner())
    phone = device()
    factories.redeem(code_of(invited), origin=phone, now=NOW)

    with refused(InvitationExpired):
        factories.redeem(code_of(invited), origin=phone, now=NEXT_WEEK)


def test_an_invitation_admits_as_many_devices_as_it_says() -> None:
    invited = factories.invitation(factories.owner(), max_uses=3)
    phones = [device() for _ in range(3)]

    for phone in (*phones, *phones):
        factories.redeem(code_of(invited), origin=phone, now=NOW)
    with refused(InvitationUsed):
        factories.redeem(code_of(invited), origin=device(), now=NOW)

    assert (stored(invited).uses, ledger(invited)) == (3, 3)


def test_an_invitation_without_limit_admits_any_number() -> None:
    invited = factories.invitation(factories.owner(), max_uses=None)

    for _ in range(20):
        factories.redeem(code_of(invited), origin=device(), now=NOW)

    assert (stored(invited).uses, ledger(invited)) == (20, 20)


@pytest.mark.parametrize("email", ["bob@example.org", "Bob@EXAMPLE.org", "bob@ｅｘａｍｐｌｅ.org"])
@pytest.mark.parametrize("recipient", ["bob@example.org", "@example.org"])
def test_a_personal_code_opens_for_its_recipient(recipient: str, email: str) -> None:
    invited = factories.invitation(factories.owner(), recipient=recipient)

    redemption = factories.redeem(code_of(invited), origin=device(), now=NOW, email=email)

    assert stored(redemption).email == "bob@example.org"


@pytest.mark.parametrize(
    "email",
    [
        "bob@example.com",
        "bob@sub.example.org",
        "bob@notexample.org",
        "bob@example.org.evil.test.com",
        "bob@exаmple.org",  # a Cyrillic а
        "bob@examp1e.org",
        "bob@xn--exmple-4nf.org",
    ],
)
@pytest.mark.parametrize("recipient", ["bob@example.org", "@example.org"])
def test_a_domain_that_only_looks_alike_is_refused(recipient: str, email: str) -> None:  # case 48
    invited = factories.invitation(factories.owner(), recipient=recipient)

    with refused(WrongRecipient):
        factories.redeem(code_of(invited), origin=device(), now=NOW, email=email)

    assert stored(invited).uses == 0


def test_another_address_of_the_domain_is_not_the_recipient() -> None:
    invited = factories.invitation(factories.owner(), recipient="bob@example.org")

    with refused(WrongRecipient):
        factories.redeem(code_of(invited), origin=device(), now=NOW, email="eve@example.org")


def test_a_missing_recipient_costs_no_try() -> None:
    invited = factories.invitation(factories.owner(), recipient="bob@example.org")
    phone = device()

    for _ in range(5):
        with refused(RecipientRequired):
            factories.redeem(code_of(invited), origin=phone, now=NOW)

    assert tries_left(phone) == 2
    assert stored(invited).uses == 0


def test_a_wrong_recipient_costs_a_try() -> None:
    invited = factories.invitation(factories.owner(), recipient="bob@example.org")
    phone = device()

    with refused(WrongRecipient) as refusal:
        factories.redeem(code_of(invited), origin=phone, now=NOW, email="eve@example.org")

    assert refusal.value.tries_left == 2


def test_what_is_no_address_is_refused_alike_for_any_code() -> None:
    invited = factories.invitation(factories.owner())
    phone = device()

    for code in (code_of(invited), "no such code"):
        with refused(InvalidEmail):
            factories.redeem(code, origin=phone, now=NOW, email="x" * 300)

    assert tries_left(phone) == 2


def test_a_staff_invitation_is_not_used_up_on_the_landing_page() -> None:
    invited = factories.invitation(factories.owner(), grants_role=Role.ADMIN)
    phone = device()

    for verb in (factories.redeem, redemptions.admit):
        with refused(StaffInvitation):
            verb(code_of(invited), origin=phone, now=NOW)

    assert stored(invited).uses == 0
    assert tries_left(phone) == 2


def test_checking_a_code_uses_nothing_up() -> None:
    invited = factories.invitation(factories.owner())
    phone = device()

    for _ in range(5):
        assert redemptions.check(code_of(invited), origin=phone, now=NOW).id == invited.id

    assert (stored(invited).uses, stored(invited).opened_at) == (0, None)
    assert tries_left(phone) == 2


@pytest.mark.parametrize(
    ("terms", "now", "kind"),
    [
        ({}, NEXT_WEEK, InvitationExpired),
        ({"starts_at": TOMORROW}, NOW, InvitationNotOpen),
    ],
)
def test_checking_says_why_a_real_code_is_not_good(
    terms: dict[str, object], now, kind: type[PortalError]
) -> None:
    invited = factories.invitation(factories.owner(), **terms)

    with refused(kind):
        redemptions.check(code_of(invited), origin=device(), now=now)


def test_checking_a_spent_code_says_so_except_to_the_device_it_let_in() -> None:
    invited = factories.invitation(factories.owner())
    phone = device()
    factories.redeem(code_of(invited), origin=phone, now=NOW)
    assert stored(invited).uses == 1

    assert redemptions.check(code_of(invited), origin=phone, now=NOW).id == invited.id
    with refused(InvitationUsed):
        redemptions.check(code_of(invited), origin=device(), now=NOW)


def test_the_first_visit_by_a_link_is_remembered_and_no_other() -> None:
    invited = factories.invitation(factories.owner())

    for now in (NOW, TOMORROW):
        redemptions.visit(code_of(invited), origin=device(), now=now)

    assert stored(invited).opened_at == NOW


def test_a_locked_device_is_not_even_told_of_a_code() -> None:
    code = code_of(factories.invitation(factories.owner()))
    phone = device()
    assert [tries_left(phone), tries_left(phone)] == [2, 1]
    with refused(LockedOut):
        factories.redeem("no such code", origin=phone, now=NOW)

    for verb in (redemptions.check, redemptions.visit, redemptions.redeem, redemptions.admit):
        with refused(LockedOut):
            verb(code, origin=phone, now=NOW)
