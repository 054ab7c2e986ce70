"""Whose e-mail counts as their own, and what an account cannot do by one that does not."""

from typing import Any

import pytest
import sqlalchemy as sa

from portal.domain.accounts import (
    accounts,
    credentials,
    data_export,
    deletion,
    password_reset,
    registration,
)
from portal.domain.audit import retention
from portal.domain.errors import EmailUnconfirmed
from portal.domain.invitations import redemptions
from portal.domain.tokens import jwt
from portal.extensions import db
from portal.models import Account, EmailProof, Mail, Redemption, Role
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device, mails_to, sent_to

pytestmark = pytest.mark.usefixtures("context")

SAM = "sam@example.org"


def register(name: str = "sam", code: str | None = None) -> Account:
    """Register as staff."""
    return accounts.register(
        email=f"{name}@example.org",
        username=name,
        password=PASSWORD,
        origin=device(),
        now=NOW,
        invitation_code=code,
    )


def staff() -> Account:
    """Sam, who registered with a staff code."""
    olivia = accounts.find("olivia") or factories.owner()
    return register("sam", code_of(factories.invitation(olivia, grants_role=Role.ADMIN)))


def claims_of(account: Account) -> dict[str, Any]:
    """What other services are told about an account that signs in."""
    session = accounts.sign_in(account.email, PASSWORD, origin=device(), now=NOW, dialect="kursus")
    token = jwt.kursus(session, now=NOW)
    return dict(jwt.claims_of(token, jwt.KURSUS, now=NOW))


# case 88
def test_the_first_owner_and_the_command_line_are_believed_and_marked() -> None:
    assert register("olivia").email_proof is EmailProof.FIRST_OWNER
    assert factories.owner(username="ida").email_proof is EmailProof.COMMAND_LINE


# case 88
def test_a_staff_code_proves_no_email_and_a_mail_does() -> None:
    sam = staff()
    assert (sam.email_proof, mails_to(SAM)) == (None, ["activation"])
    assert claims_of(sam)["email_verified"] is False

    registration.activate(SAM, sent_to(SAM)[0], origin=device(), now=NOW)

    assert stored(sam).email_proof is EmailProof.MAIL
    assert claims_of(sam)["email_verified"] is True


# case 88
@pytest.mark.parametrize("settings_changes", [{"admin_registration": "open"}])
def test_open_registration_proves_no_email() -> None:
    register("olivia")

    assert register("sam").email_proof is None


def test_members_prove_their_email_by_signing_up() -> None:
    mia = factories.newcomer()
    assert mia.email_proof is None

    registration.activate(mia.email, sent_to(mia.email)[0], origin=device(), now=NOW)

    assert claims_of(mia)["email_verified"] is True


def test_a_new_email_is_proven_by_its_own_mail() -> None:
    sam = staff()
    here = factories.session_of(sam)
    credentials.request_new_email(
        sam, "new@example.org", PASSWORD, session=here, origin=device(), now=NOW
    )
    code, _ = sent_to("new@example.org")

    credentials.confirm_new_email(sam, code, origin=device(), now=NOW)

    assert (stored(sam).email, stored(sam).email_proof) == ("new@example.org", EmailProof.MAIL)


# case 46
def test_a_password_reset_proves_no_email() -> None:
    sam = staff()
    password_reset.request(SAM, origin=device(), now=NOW)

    password_reset.finish(SAM, sent_to(SAM)[0], f"{PASSWORD}!", origin=device(), now=NOW)

    assert stored(sam).email_proof is None


def test_a_dialect_that_cannot_say_unverified_refuses_an_unproven_email() -> None:
    sam = staff()

    with refused(EmailUnconfirmed):
        accounts.sign_in(sam.email, PASSWORD, origin=device(), now=NOW, email_proven=True)

    registration.activate(SAM, sent_to(SAM)[0], origin=device(), now=NOW)
    assert accounts.sign_in(sam.email, PASSWORD, origin=device(), now=NOW, email_proven=True)


def test_somebody_who_signs_up_with_an_address_of_staff_cannot_prove_it_for_them() -> None:
    """A stranger's confirmation of their own sign-up would be ours of somebody else's account."""
    sam = staff()
    db.session.execute(sa.delete(Mail))
    db.session.commit()

    registration.sign_up(email=SAM, password=PASSWORD, origin=device(), now=NOW)

    assert mails_to(SAM) == ["account_exists"]
    assert stored(sam).email_proof is None


def test_staff_are_not_forgotten_for_an_email_that_is_not_proven() -> None:
    sam = staff()

    retention.prune(now=NOW + 2 * retention.UNCONFIRMED_FOR)

    assert stored(sam).username == "sam"


# case 88
def test_deleting_an_account_with_an_unproven_email_leaves_what_is_anothers() -> None:
    olivia = factories.owner()
    invitee = redemptions.admit(
        code_of(factories.invitation(olivia, recipient=SAM)), origin=device(), now=NOW, email=SAM
    )
    mailed = factories.invitation(olivia, recipient=SAM)
    db.session.add(
        Mail(
            kind="invitation",
            recipient=SAM,
            about_id=mailed.id,
            state="waiting",
            created_at=NOW,
            due_at=NOW,
        )
    )
    db.session.commit()
    sam = staff()

    assert [
        mail["kind"] for mail in data_export.export_of(sam, origin=device(), now=NOW)["mails"]
    ] == []
    here = factories.session_of(sam)
    deletion.erase(sam, PASSWORD, session=here, origin=device(), now=NOW)

    assert stored(invitee).revoked_at is None
    assert db.session.scalars(sa.select(Redemption.email)).all().count(SAM) == 1
    assert mails_to(SAM) == ["invitation"]
