"""Bound invitations: who may use them where mail can be sent, and what proves it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.domain.accounts import accounts, registration
from portal.domain.client import Origin
from portal.domain.errors import (
    AskedTooOften,
    CodeRefused,
    InvitationUsed,
    RecipientUnproven,
    VerificationRefused,
    WrongRecipient,
)
from portal.domain.invitations import recipient_verification, redemptions
from portal.domain.invitations.recipient_verification import Proof
from portal.domain.lockout import lockout
from portal.domain.lockout.lockout import Kind
from portal.extensions import db
from portal.models import Account, EmailProof, Invitation, Mail, Redemption, Role
from tests import factories
from tests.conftest import make_settings
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device, mails_to, sent_to

pytestmark = pytest.mark.usefixtures("context")

ADA = "ada@example.org"
MAIL_URL = "smtp://127.0.0.1:9"


@pytest.fixture
def settings_changes() -> dict[str, object]:
    """A portal that can send mail."""
    return {"mail_url": MAIL_URL}


def bound(recipient: str = ADA, **terms: object) -> Invitation:
    """An invitation for one address, or one domain."""
    return factories.invitation(factories.owner(), recipient=recipient, **terms)


def ask_for_code(invited: Invitation, email: str = ADA, origin: Origin | None = None) -> None:
    """Type the address, and no code yet."""
    with refused(RecipientUnproven):
        redemptions.admit(code_of(invited), origin=origin or device(), now=NOW, email=email)


def tries_left(origin: Origin) -> int:
    """How many wrong codes this device may still enter, after one more."""
    with refused(CodeRefused) as refusal:
        factories.redeem("no such code", origin=origin, now=NOW)
    return refusal.value.tries_left or 0


# case 88
def test_a_typed_address_opens_nothing_and_is_mailed_a_code_at_no_cost_of_a_try() -> None:
    invited, phone = bound(), device()

    ask_for_code(invited, origin=phone)

    assert stored(invited).uses == 0
    assert mails_to(ADA) == ["recipient"]
    assert tries_left(phone) == 2


# case 88
def test_the_mailed_code_opens_the_invitation_for_that_address() -> None:
    invited, phone = bound(), device()
    ask_for_code(invited, origin=phone)
    code, link = sent_to(ADA)

    session = redemptions.admit(
        code_of(invited), origin=phone, now=NOW, email="Ada@Example.org", proof=Proof(code=code)
    )

    assert link == ""
    assert db.session.scalars(sa.select(Redemption.email)).one() == ADA
    assert session.redemption_id is not None
    assert redemptions.admit(code_of(invited), origin=phone, now=NOW).id == session.id


# case 88
def test_another_address_is_answered_alike_and_nobody_is_written_to() -> None:
    invited = bound()

    for email in ("eve@example.org", "ada@example.com"):
        ask_for_code(invited, email)
        with refused(VerificationRefused):
            proof = Proof(code="00000000")
            redemptions.admit(code_of(invited), origin=device(), now=NOW, email=email, proof=proof)

    assert db.session.scalars(sa.select(Mail)).all() == []
    assert stored(invited).uses == 0


# case 24
def test_a_mailed_code_is_good_once_also_where_uses_are_left() -> None:
    invited = bound("@example.org", max_uses=None)
    ask_for_code(invited)
    proof = Proof(code=sent_to(ADA)[0])
    factories.redeem(code_of(invited), origin=device(), now=NOW, email=ADA, proof=proof)

    with refused(VerificationRefused):
        factories.redeem(code_of(invited), origin=device(), now=NOW, email=ADA, proof=proof)

    assert stored(invited).uses == 1


@pytest.mark.parametrize("email", ["bob@example.org", "ada@exаmple.org", "ada@sub.example.org"])
def test_a_code_proves_the_address_it_was_mailed_to_and_no_other(email: str) -> None:  # case 48
    invited = bound("@example.org", max_uses=None)
    ask_for_code(invited)
    ask_for_code(invited, email)
    proof = Proof(code=sent_to(ADA)[0])

    with refused(VerificationRefused):
        factories.redeem(code_of(invited), origin=device(), now=NOW, email=email, proof=proof)


def test_a_code_that_was_mailed_about_one_invitation_opens_no_other() -> None:
    first = bound()
    second = factories.invitation(accounts.find("olivia"), recipient=ADA)
    ask_for_code(first)

    with refused(VerificationRefused):
        proof = Proof(code=sent_to(ADA)[0])
        factories.redeem(code_of(second), origin=device(), now=NOW, email=ADA, proof=proof)


def test_a_code_is_good_for_ten_minutes_and_five_tries() -> None:
    invited = bound()
    ask_for_code(invited)
    right = Proof(code=sent_to(ADA)[0])

    with refused(VerificationRefused):
        late = NOW + timedelta(minutes=10)
        redemptions.admit(code_of(invited), origin=device(), now=late, email=ADA, proof=right)
    for _ in range(4):
        with refused(VerificationRefused):
            wrong = Proof(code="00000000")
            redemptions.admit(code_of(invited), origin=device(), now=NOW, email=ADA, proof=wrong)
    with refused(VerificationRefused):
        redemptions.admit(code_of(invited), origin=device(), now=NOW, email=ADA, proof=right)


def test_a_wrong_mailed_code_is_no_try_of_the_device_but_a_miss_of_its_address(
    app: Flask,
) -> None:
    app.extensions["portal.settings"] = make_settings(
        str(app.config["SQLALCHEMY_DATABASE_URI"]), mail_url=MAIL_URL, address_misses_per_hour=4
    )
    invited, phone = bound(), device()
    ask_for_code(invited, origin=phone)
    for _ in range(3):
        with refused(VerificationRefused):
            wrong = Proof(code="00000000")
            redemptions.admit(code_of(invited), origin=phone, now=NOW, email=ADA, proof=wrong)

    assert tries_left(phone) == 2
    assert list(lockout.spent(Kind.REDEEMING, now=NOW)) == [phone.address_bucket]


# case 47
def test_one_mailbox_is_sent_three_codes_an_hour_however_many_ask() -> None:
    invited = bound()

    for number in range(6):
        ask_for_code(invited, origin=device(address=f"192.0.2.{number}"))

    assert mails_to(ADA) == ["recipient"] * 3


def test_one_network_asks_for_so_many_codes_whether_or_not_they_are_sent(app: Flask) -> None:
    app.extensions["portal.settings"] = make_settings(
        str(app.config["SQLALCHEMY_DATABASE_URI"]), mail_url=MAIL_URL, address_misses_per_hour=2
    )
    invited = bound()
    for number in range(2):
        ask_for_code(invited, f"nobody{number}@example.org")

    with refused(AskedTooOften):
        redemptions.admit(code_of(invited), origin=device(), now=NOW, email=ADA)


# case 88
def test_the_link_that_was_mailed_proves_the_address_without_typing_it() -> None:
    invited = bound()
    link = recipient_verification.of_link(invited.id, ADA)

    redemption = factories.redeem(
        code_of(invited), origin=device(), now=NOW, proof=Proof(link=link)
    )

    assert stored(redemption).email == ADA


# case 88
def test_a_link_proves_nothing_about_another_invitation_or_recipient() -> None:
    invited = bound(max_uses=None)
    other = factories.invitation(accounts.find("olivia"), recipient=ADA)
    forged = (
        recipient_verification.of_link(other.id, ADA),
        recipient_verification.of_link(invited.id, "eve@example.org"),
        recipient_verification.of_link(invited.id, ADA)[:-1],
        "é",
    )

    for link in forged:
        with refused(RecipientUnproven):
            proof = Proof(link=link)
            redemptions.admit(code_of(invited), origin=device(), now=NOW, email=ADA, proof=proof)

    with refused(RecipientUnproven):  # and of an address of one's own choice
        proof = Proof(link=recipient_verification.of_link(invited.id, ADA))
        email = "eve@example.org"
        redemptions.admit(code_of(invited), origin=device(), now=NOW, email=email, proof=proof)


def test_a_link_of_before_a_new_secret_is_still_good(app: Flask) -> None:
    invited = bound()
    code, link = code_of(invited), recipient_verification.of_link(invited.id, ADA)
    former = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = make_settings(
        str(app.config["SQLALCHEMY_DATABASE_URI"]),
        mail_url=MAIL_URL,
        secret_key="another secret that is long enough to be one",
        secret_key_fallbacks=former.secret_key.get_secret_value(),
    )

    assert factories.redeem(code, origin=device(), now=NOW, proof=Proof(link=link))


# case 88
@pytest.mark.parametrize("recipient", ["mia@example.org", "@example.org"])
def test_an_account_opens_what_is_bound_to_its_proven_email(recipient: str) -> None:
    invited, mia = bound(recipient, max_uses=None), factories.member("mia")

    redemption = factories.redeem(
        code_of(invited), origin=device(), now=NOW, proof=Proof(account=mia)
    )

    assert stored(redemption).email == mia.email


# case 88
@pytest.mark.parametrize("recipient", ["sam@example.org", "@example.org"])
def test_an_account_opens_nothing_by_an_email_that_is_not_proven(recipient: str) -> None:
    invited, sam = bound(recipient), unproven_staff("sam")

    with refused(RecipientUnproven):
        redemptions.admit(
            code_of(invited), origin=device(), now=NOW, email=sam.email, proof=Proof(account=sam)
        )

    assert stored(invited).uses == 0


@pytest.mark.parametrize(
    "settings_changes", [{"mail_url": MAIL_URL, "recipient_proof": "typed"}, {"mail_url": ""}]
)
def test_by_a_setting_or_without_a_mail_server_a_typed_address_is_believed() -> None:
    invited = bound(max_uses=None)

    assert factories.redeem(code_of(invited), origin=device(), now=NOW, email=ADA)
    with refused(WrongRecipient):
        factories.redeem(code_of(invited), origin=device(), now=NOW, email="eve@example.org")


# --- Signing up with a bound code ---


def sign_up(invited: Invitation, email: str = ADA, origin: Origin | None = None) -> Account:
    """Sign up, and leave the mail unread."""
    account = registration.sign_up(
        email=email,
        password=PASSWORD,
        invitation_code=code_of(invited),
        origin=origin or device(),
        now=NOW,
    )
    assert account is not None
    return account


# case 88
def test_who_signs_up_with_a_bound_code_uses_it_when_the_email_is_proven() -> None:
    invited, phone = bound(grants_role=Role.VIEWER), device()
    ada = sign_up(invited, origin=phone)

    assert (stored(invited).uses, stored(ada).role) == (0, Role.MEMBER)
    registration.activate(ADA, sent_to(ADA)[0], origin=device(), now=NOW)

    assert (stored(invited).uses, stored(ada).role) == (1, Role.VIEWER)
    assert db.session.scalars(sa.select(Redemption.account_id)).one() == ada.id
    assert stored(ada).email_proof is EmailProof.MAIL


# case 88
def test_signing_up_with_a_typed_address_is_no_way_around_its_proof() -> None:
    invited, phone = bound(), device()
    sign_up(invited, origin=phone)

    ask_for_code(invited, origin=phone)

    assert stored(invited).uses == 0
    assert tries_left(phone) == 2


def test_signing_up_with_a_bound_code_for_somebody_else_is_refused() -> None:
    invited = bound()

    with refused(WrongRecipient):
        sign_up(invited, "eve@example.org")


def test_whoever_was_let_in_already_signs_up_by_that() -> None:
    invited, phone = bound(), device()
    proof = Proof(link=recipient_verification.of_link(invited.id, ADA))
    factories.redeem(code_of(invited), origin=phone, now=NOW, proof=proof)

    ada = sign_up(invited, origin=phone)
    registration.activate(ADA, sent_to(ADA)[0], origin=device(), now=NOW)

    assert stored(invited).uses == 1
    assert db.session.scalars(sa.select(Redemption.account_id)).one() == ada.id


def use_up(invited: Invitation) -> None:
    """Somebody at `bob@example.org` comes first."""
    ask_for_code(invited, "bob@example.org")
    proof = Proof(code=sent_to("bob@example.org")[0])
    factories.redeem(
        code_of(invited), origin=device(), now=NOW, email="bob@example.org", proof=proof
    )


def test_an_invitation_that_was_used_meanwhile_leaves_a_plain_member() -> None:
    invited = bound("@example.org")
    ada = sign_up(invited)
    use_up(invited)

    registration.activate(ADA, sent_to(ADA)[0], origin=device(), now=NOW)

    assert stored(ada).confirmed_at == NOW
    assert stored(invited).uses == 1


@pytest.mark.parametrize(
    "settings_changes", [{"mail_url": MAIL_URL, "member_registration": "invite"}]
)
def test_where_members_need_an_invitation_one_that_was_used_meanwhile_keeps_them_out() -> None:
    invited = bound("@example.org")
    ada = sign_up(invited)
    use_up(invited)
    code, _ = sent_to(ADA)

    for _ in range(2):
        with refused(InvitationUsed):
            registration.activate(ADA, code, origin=device(), now=NOW)

    assert (stored(ada).confirmed_at, stored(ada).email_proof) == (None, None)


# --- Registering with a bound staff code ---


def register(
    code: str, email: str = ADA, proof: Proof = recipient_verification.NOTHING, name: str = "ada"
) -> Account:
    """Register as staff."""
    return accounts.register(
        email=email,
        username=name,
        password=PASSWORD,
        origin=device(),
        now=NOW,
        invitation_code=code,
        proof=proof,
    )


def unproven_staff(name: str) -> Account:
    """Somebody who registered with a staff code, and has not looked into the mailbox."""
    olivia = accounts.find("olivia") or factories.owner()
    invited = factories.invitation(olivia, grants_role=Role.ADMIN)
    return register(code_of(invited), f"{name}@example.org", name=name)


# case 88
def test_a_bound_staff_code_makes_nobody_staff_by_a_typed_address() -> None:
    invited = bound(grants_role=Role.ADMIN)

    with refused(RecipientUnproven):
        register(code_of(invited))

    assert accounts.find("ada") is None
    assert stored(invited).uses == 0
    assert mails_to(ADA) == ["recipient"]


@pytest.mark.parametrize("by", ["code", "link"])
def test_what_opens_a_bound_staff_code_proves_the_email_too(by: str) -> None:
    invited = bound(grants_role=Role.ADMIN)
    proof = Proof(link=recipient_verification.of_link(invited.id, ADA))
    if by == "code":
        with refused(RecipientUnproven):
            register(code_of(invited))
        proof = Proof(code=sent_to(ADA)[0])

    ada = register(code_of(invited), proof=proof)

    assert (stored(ada).role, stored(ada).email_proof) == (Role.ADMIN, EmailProof.MAIL)
    assert "activation" not in mails_to(ADA)


# case 88
def test_a_link_for_one_address_registers_nobody_by_another() -> None:
    invited = bound(grants_role=Role.ADMIN)

    with refused(RecipientUnproven):
        proof = Proof(link=recipient_verification.of_link(invited.id, ADA))
        register(code_of(invited), "eve@example.org", proof)
