"""Accounts that are switched off, and those that are gone for good."""

import json
from io import BytesIO
from zipfile import ZipFile

import pytest
import sqlalchemy as sa

from portal.domain.accounts import (
    accounts,
    avatars,
    data_export,
    deletion,
    password_reset,
    sessions,
)
from portal.domain.audit import chain
from portal.domain.errors import (
    AccountDeactivated,
    InvalidCredentials,
    LastOwner,
    NotAllowed,
)
from portal.domain.invitations import redemptions
from portal.extensions import db
from portal.models import (
    Account,
    AuditEvent,
    Mail,
    Redemption,
    Role,
    Session,
    UnlinkedEvent,
    Verification,
)
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device, mails_to
from tests.pictures import opened, picture

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def olivia() -> Account:
    """The owner."""
    return factories.owner()


@pytest.fixture
def mia(olivia: Account) -> Account:
    """A member, who came by an invitation."""
    return factories.member(invitation_code=code_of(factories.invitation(olivia)))


def deactivate(account: Account, by: Account) -> None:
    """Switch off."""
    deletion.deactivate(account, by=by, origin=device(), now=NOW)


def erase(account: Account, password: str = PASSWORD) -> None:
    """Delete an account within a session of its own."""
    here = factories.session_of(account)
    deletion.erase(account, password, session=here, origin=device(), now=NOW)


# case 29
def test_a_deactivated_account_is_out_at_once_and_hears_of_it(
    mia: Account, olivia: Account
) -> None:
    session = accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)

    deactivate(mia, olivia)

    assert sessions.find_staff(session.id, now=NOW) is None
    assert mails_to(mia.email)[-1] == "deactivated"
    with refused(AccountDeactivated):
        accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)


def test_a_reactivated_account_signs_in_again_and_has_no_session_of_before(
    mia: Account, olivia: Account
) -> None:
    deactivate(mia, olivia)
    late, _ = sessions.open_for_account(mia, origin=device(), now=NOW)

    deletion.reactivate(mia, by=olivia, origin=device(), now=NOW)

    assert sessions.find_staff(late.id, now=NOW) is None
    assert accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)


def test_nobody_manages_themselves_their_equals_or_whoever_is_above(
    mia: Account, olivia: Account
) -> None:
    alice, bob = (factories.staff(Role.ADMIN, name) for name in ("alice", "bob"))

    for account, by in ((alice, alice), (bob, alice), (olivia, alice), (alice, mia)):
        with refused(NotAllowed):
            deactivate(account, by)
    deactivate(mia, alice)


def test_the_only_owner_stays(olivia: Account) -> None:
    with refused(LastOwner):
        erase(olivia)

    olga = factories.owner(username="olga")
    deactivate(olivia, olga)
    with refused(LastOwner):
        erase(olga)


def test_erasing_asks_for_the_password(mia: Account) -> None:
    with refused(InvalidCredentials):
        erase(mia, "wrong")


# case 80
def test_an_erased_person_is_gone_and_the_chain_still_verifies(mia: Account) -> None:
    accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)
    accounts.sign_in("mia", PASSWORD, origin=device(address="198.51.100.7"), now=NOW)
    password_reset.request("mia", origin=device(), now=NOW)

    erase(mia)

    assert accounts.find("mia") is accounts.find("mia@example.org") is None
    for rows in (
        sa.select(Session).where(Session.account_id == mia.id),
        sa.select(Verification).where(Verification.account_id == mia.id),
        sa.select(Mail).where(Mail.recipient == "mia@example.org"),
        sa.select(AuditEvent).where(AuditEvent.actor_id == mia.id, AuditEvent.address.is_not(None)),
        sa.select(UnlinkedEvent).where(UnlinkedEvent.address.is_not(None)),
    ):
        assert db.session.scalars(rows).all() == []
    entry = db.session.scalars(sa.select(Redemption)).one()
    assert (entry.account_id, entry.email, entry.address) == (mia.id, None, None)
    assert chain.first_broken_link() is None


def test_whoever_was_erased_may_come_again(mia: Account) -> None:
    erase(mia)

    assert factories.member("mia").id != mia.id


def test_an_erased_account_is_not_brought_back(mia: Account, olivia: Account) -> None:
    erase(mia)

    with refused(NotAllowed):
        deletion.reactivate(stored(mia), by=olivia, origin=device(), now=NOW)


def test_people_take_along_what_is_kept_about_them_and_no_secret(mia: Account) -> None:
    accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)

    data = data_export.export_of(mia, origin=device(), now=NOW)

    assert data["account"][0]["email"] == "mia@example.org"
    assert data["account"][0]["created_at"] == "2026-11-21T12:00:00+00:00"
    assert [session["client"] for session in data["sessions"]] == ["a test"]
    assert len(data["invitations_redeemed"]) == 1
    assert {"account.registered", "account.activated"} <= {e["action"] for e in data["events"]}
    assert "password_hash" not in str(data)
    assert str(mia.password_hash) not in str(data)


def test_people_take_their_picture_along(mia: Account) -> None:
    def taken() -> dict[str, bytes]:
        archive = ZipFile(BytesIO(data_export.archive_of(mia, origin=device(), now=NOW)))
        return {name: archive.read(name) for name in archive.namelist()}

    assert set(taken()) == {"my-data.json"}
    avatars.store(mia, picture(), origin=device(), now=NOW)
    assert opened(taken()["picture.webp"]).size == (512, 512)
    assert json.loads(taken()["my-data.json"])["account"][0]["username"] == "mia"


def test_what_was_redeemed_before_the_account_is_forgotten_too(olivia: Account) -> None:
    invited = factories.invitation(olivia, max_uses=None, recipient="@example.org")
    redemptions.admit(code_of(invited), origin=device(), now=NOW, email="mia@example.org")
    mia = factories.member()

    erase(mia)

    assert db.session.scalars(sa.select(Redemption.email)).all() == [None]
    assert db.session.scalars(sa.select(Session)).all() == []
