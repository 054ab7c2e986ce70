"""Accounts: who may register, and who is let in."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from portal.domain.accounts import accounts, passwords, sessions
from portal.domain.audit import audit
from portal.domain.errors import (
    AccountDeactivated,
    AccountTaken,
    BadInput,
    CodeRefused,
    InvalidCredentials,
    InvalidEmail,
    InvitationUsed,
    RegistrationClosed,
    WeakPassword,
    WrongRecipient,
)
from portal.domain.invitations import redemptions
from portal.extensions import db
from portal.models import Account, Redemption, Role, Session
from tests import factories
from tests.conftest import run_sql
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device

pytestmark = pytest.mark.usefixtures("context")

first = pytest.mark.parametrize("settings_changes", [{"admin_registration": "first"}])
open_to_all = pytest.mark.parametrize("settings_changes", [{"admin_registration": "open"}])
invite_only = pytest.mark.parametrize("settings_changes", [{"admin_registration": "invite"}])


def register(username: str = "alice", **changes: Any) -> Account:
    """Register as `username`, or with `changes`."""
    values = {
        "email": f"{username}@example.org",
        "username": username,
        "password": PASSWORD,
        "origin": device(),
        "now": NOW,
    }
    return accounts.register(**(values | changes))


def sign_in(identity: str = "olivia", password: str = PASSWORD, **changes: Any) -> Session:
    """Sign in from a new device."""
    return accounts.sign_in(identity, password, **({"origin": device(), "now": NOW} | changes))


def how_many(table: type[Account] | type[Redemption]) -> int:
    """How many rows were committed."""
    db.session.rollback()
    return db.session.scalars(sa.select(sa.func.count()).select_from(table)).one()


def test_the_first_to_register_owns_the_portal() -> None:
    assert accounts.registration() == "first"

    olivia = stored(register("olivia"))

    assert (olivia.role, olivia.created_at) == (Role.OWNER, NOW)
    assert audit.about(olivia.id)[-1].details == {"role": "owner"}


@first
def test_after_the_first_nobody_registers_without_an_invitation() -> None:
    factories.owner()

    assert accounts.registration() == "invite"
    with refused(RegistrationClosed):
        register()
    assert how_many(Account) == 1


@open_to_all
def test_with_open_registration_anybody_becomes_an_admin() -> None:
    factories.owner()

    assert accounts.registration() == "open"
    assert stored(register()).role is Role.ADMIN


@open_to_all
def test_with_open_registration_the_first_still_becomes_the_owner() -> None:
    assert stored(register()).role is Role.OWNER


@invite_only
def test_by_invitation_nobody_registers_without_a_code() -> None:
    factories.owner()

    assert accounts.registration() == "invite"
    for code in (None, ""):
        with refused(RegistrationClosed):
            register(invitation_code=code)


@invite_only
@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN, Role.OWNER])
def test_an_invitation_makes_staff_of_the_role_it_grants_and_is_used_up(role: Role) -> None:
    invited = factories.invitation(factories.owner(), grants_role=role)

    alice = stored(register(invitation_code=code_of(invited)))

    assert alice.role is role
    assert stored(invited).uses == 1
    entry = db.session.scalars(sa.select(Redemption)).one()
    assert (entry.account_id, entry.email) == (alice.id, alice.email)
    with refused(InvitationUsed):
        register("bob", invitation_code=code_of(invited))
    assert accounts.find("bob") is None


@invite_only
def test_a_taken_address_gives_its_use_back() -> None:
    invited = factories.invitation(factories.owner(), grants_role=Role.ADMIN)

    for clash in ({"email": "olivia@example.org"}, {"username": "olivia"}):
        with refused(AccountTaken):
            register(invitation_code=code_of(invited), **clash)

    assert stored(invited).uses == 0
    assert (how_many(Account), how_many(Redemption)) == (1, 0)
    assert register(invitation_code=code_of(invited)).role is Role.ADMIN


@invite_only
def test_a_wrong_code_leaves_no_account_behind_and_costs_a_try() -> None:
    factories.owner()
    phone = device()

    with refused(CodeRefused) as refusal:
        register(invitation_code="no such code", origin=phone)

    assert refusal.value.tries_left == 2
    assert how_many(Account) == 1


@invite_only
def test_an_invitation_for_invitees_makes_nobody_staff() -> None:
    invited = factories.invitation(factories.owner())

    with refused(CodeRefused):
        register(invitation_code=code_of(invited))

    assert stored(invited).uses == 0
    assert how_many(Account) == 1


@invite_only
def test_a_staff_invitation_for_somebody_else_is_refused() -> None:
    invited = factories.invitation(
        factories.owner(), grants_role=Role.ADMIN, recipient="bob@example.org"
    )

    with refused(WrongRecipient):
        register("eve", invitation_code=code_of(invited))

    assert (stored(invited).uses, how_many(Account)) == (0, 1)
    assert register("bob", invitation_code=code_of(invited)).role is Role.ADMIN


@invite_only
def test_a_staff_invitation_makes_one_account_on_one_device() -> None:
    invited = factories.invitation(factories.owner(), grants_role=Role.ADMIN, max_uses=5)
    shared = device()
    register("alice", invitation_code=code_of(invited), origin=shared)

    with refused(InvitationUsed):
        register("bob", invitation_code=code_of(invited), origin=shared)

    assert register("bob", invitation_code=code_of(invited)).role is Role.ADMIN
    assert stored(invited).uses == 2


@first
def test_after_the_first_others_register_by_invitation() -> None:
    invited = factories.invitation(factories.owner(), grants_role=Role.ADMIN)

    assert register(invitation_code=code_of(invited)).role is Role.ADMIN
    assert stored(invited).uses == 1


@invite_only
def test_by_invitation_not_even_the_first_registers_freely() -> None:
    assert accounts.registration() == "invite"
    with refused(RegistrationClosed):
        register()
    assert how_many(Account) == 0


@open_to_all
@pytest.mark.parametrize("email", ["alice@example.org", "ALICE@Example.ORG", " alice@example.org"])
def test_an_email_is_taken_in_any_case(email: str) -> None:  # case 23
    factories.owner()
    register("alice")

    with refused(AccountTaken):
        register("bob", email=email)


@open_to_all
@pytest.mark.parametrize("username", ["alice", "ALICE", " Alice ", "ａｌｉｃｅ"])
def test_a_username_is_taken_in_any_case(username: str) -> None:  # case 23
    factories.owner()
    register("alice")

    with refused(AccountTaken):
        register(username, email="bob@example.org")


@pytest.mark.parametrize("username", ["a", "Zoë", "jean-luc", "bob.2", "x" * 32, "İpek", "二郎"])
def test_a_username_is_kept_as_it_was_written(username: str) -> None:
    assert stored(register(username, email="bob@example.org")).username == username


@pytest.mark.parametrize(
    "username",
    [
        "",
        " ",
        "-bob",
        "bob-",
        ".bob",
        "bob smith",
        "bob@example.org",
        "bob\0",
        "bob\r\nBcc: eve",
        "<b>bob</b>",
        "x" * 33,
        "İ" * 32,  # grows in lower case
        "ﷺ" * 2,  # grows in normal form
        " " * 100_000 + "bob",
        "b" + "\u0300\u0316" * 50_000,
    ],
)
def test_a_username_that_cannot_serve_is_refused(username: str) -> None:  # cases 54 and 72
    with refused(BadInput):
        register(username, email="bob@example.org")


def test_an_address_that_is_none_is_refused() -> None:
    with refused(InvalidEmail):
        register(email="bob@example.org,eve@example.org")  # case 42


@pytest.mark.parametrize("password", ["short", "password1", "x" * 257, "x" * 1_000_000])
def test_a_password_that_cannot_serve_is_refused(password: str) -> None:  # case 69
    with refused(WeakPassword):
        register(password=password)

    assert accounts.registration() == "first"


def test_a_password_is_stored_only_as_its_hash() -> None:
    olivia = stored(factories.owner())

    assert olivia.password_hash.startswith("$argon2id$")
    assert PASSWORD not in olivia.password_hash


@first
def test_the_command_line_adds_an_owner_whoever_came_first() -> None:
    register("olivia")

    assert stored(factories.owner(username="oscar")).role is Role.OWNER


@first
def test_an_owner_of_the_command_line_ends_the_free_registration() -> None:
    factories.owner()

    assert accounts.registration() == "invite"


def test_the_command_line_takes_no_taken_name_either() -> None:
    factories.owner()
    with refused(AccountTaken):
        factories.owner(username="OLIVIA")


@pytest.mark.parametrize(
    "identity", ["olivia", "OLIVIA", " Olivia ", "olivia@example.org", "Olivia@EXAMPLE.org"]
)
def test_people_sign_in_by_email_or_username_in_any_case(identity: str) -> None:
    olivia = factories.owner()
    laptop = device()

    session = stored(sign_in(identity, origin=laptop))

    assert (session.account_id, session.device) == (olivia.id, laptop.device_digest)
    assert (session.created_at, session.expires_at) == (NOW, NOW + timedelta(hours=12))
    assert audit.latest(1)[0].action == "session.opened"


@pytest.mark.parametrize(
    ("identity", "password"),
    [
        ("olivia", PASSWORD + "!"),
        ("olivia", ""),
        ("olivia", "x" * 1_000_000),  # case 69
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("olivia\0", PASSWORD),
        ("%", PASSWORD),
        ("o" + "\u0300\u0316" * 50_000, PASSWORD),  # case 72
    ],
)
def test_an_unknown_name_and_a_wrong_password_are_one_answer(identity: str, password: str) -> None:
    factories.owner()

    with refused(InvalidCredentials) as refusal:
        sign_in(identity, password)

    assert str(refusal.value) == InvalidCredentials.message
    assert audit.latest(1)[0].action == "sign_in.refused"
    assert db.session.scalars(sa.select(Session)).all() == []


def test_a_deactivated_account_is_told_so_only_with_its_password() -> None:
    olivia = factories.owner()
    olivia.deactivated_at = NOW
    db.session.commit()

    with refused(AccountDeactivated):
        sign_in()
    with refused(InvalidCredentials):
        sign_in(password="a wrong password")


def test_an_outdated_hash_is_renewed_at_sign_in() -> None:
    olivia = factories.owner()
    olivia.password_hash = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(
        PASSWORD
    )
    db.session.commit()

    sign_in()

    assert not passwords.is_outdated(stored(olivia).password_hash)
    assert passwords.fits(PASSWORD, olivia.password_hash)


def test_a_good_hash_is_left_alone() -> None:
    olivia = factories.owner()
    before = olivia.password_hash

    sign_in()

    assert stored(olivia).password_hash == before


def test_signing_in_ends_the_session_it_replaces_and_no_other() -> None:  # case 28
    factories.owner()
    laptop = device()
    old, elsewhere = sign_in(origin=laptop), sign_in()

    new = sign_in(origin=laptop, replaces=old)

    assert new.id != old.id
    assert sessions.find_staff(old.id, now=NOW) is None
    assert sessions.find_staff(new.id, now=NOW) is not None
    assert sessions.find_staff(elsewhere.id, now=NOW) is not None


def test_a_failed_sign_in_leaves_the_session_it_would_replace() -> None:
    factories.owner()
    session = sign_in()

    with refused(InvalidCredentials):
        sign_in(password="a wrong password", replaces=session)

    assert sessions.find_staff(session.id, now=NOW) is not None


def test_signing_out_ends_the_session_at_once() -> None:  # case 29
    factories.owner()
    session = sign_in()

    accounts.sign_out(session, origin=device(), now=NOW)

    db.session.rollback()
    assert sessions.find_staff(session.id, now=NOW) is None
    assert audit.latest(1)[0].action == "session.closed"


def test_an_invitee_signs_out_too() -> None:
    invited = factories.invitation(factories.owner())
    inside = redemptions.admit(code_of(invited), origin=device(), now=NOW)

    accounts.sign_out(inside, origin=device(), now=NOW)

    db.session.rollback()
    assert sessions.find_staff(inside.id, now=NOW) is None


def test_the_database_knows_four_roles_and_no_other() -> None:
    factories.owner()
    with pytest.raises(sa.exc.IntegrityError):
        run_sql("UPDATE account SET role = 'emperor'")
