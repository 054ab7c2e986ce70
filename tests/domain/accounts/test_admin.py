"""People, as staff see them: who may look after whom, and who must stay."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portal.domain.accounts import accounts, admin, deletion, sessions
from portal.domain.accounts.admin import Query
from portal.domain.audit import audit
from portal.domain.errors import (
    InvalidCredentials,
    LastOwner,
    LockedOut,
    NotAllowed,
    NotFound,
    PortalError,
)
from portal.extensions import db
from portal.models import Account, Mail, Role, Session
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, device

pytestmark = pytest.mark.usefixtures("context")

Verb = Callable[..., object]
VERBS: list[Verb] = [
    deletion.deactivate,
    deletion.reactivate,
    admin.end_sessions,
    admin.unlock,
]


@pytest.fixture
def olivia() -> Account:
    """The owner."""
    return factories.owner()


@pytest.fixture
def alice(olivia: Account) -> Account:
    """An admin."""
    return factories.staff(Role.ADMIN, "alice")


@pytest.fixture
def mia(olivia: Account) -> Account:
    """A member."""
    return factories.staff(Role.MEMBER, "mia")


def do(verb: Verb, person: Account, by: Account) -> None:
    """Do that to a person."""
    verb(person, by=by, origin=device(), now=NOW)


def give(person: Account, role: Role, by: Account) -> None:
    """Give a person a role."""
    admin.change_role(person, role, by=by, origin=device(), now=NOW)


def enter(name: str, password: str = PASSWORD) -> Session:
    """Sign in, from a new device."""
    return accounts.sign_in(name, password, origin=device(), now=NOW)


def lives(session: Session) -> bool:
    """Whether a session still lets its person in."""
    db.session.rollback()
    return sessions.find_staff(session.id, now=NOW) is not None


def names(**query: object) -> list[str]:
    """Whom a search finds."""
    return [person.username for person in admin.find(Query(**query)).people]  # type: ignore[arg-type]


# --- Looking for people ---


def test_people_are_found_by_any_part_of_their_names(alice: Account, mia: Account) -> None:
    mia.first_name, mia.last_name, mia.phone = "Mia", "Berg", "+628123456789"
    db.session.commit()

    assert names() == ["alice", "mia", "olivia"]
    assert names(text="ALI") == ["alice"]
    assert names(text="mia@") == ["mia"]
    assert names(text="mia be") == ["mia"]
    assert names(text="62812") == ["mia"]
    assert names(text="%") == []
    assert names(text="\0") == []


def test_people_are_found_by_role_and_state(alice: Account, mia: Account, olivia: Account) -> None:
    do(deletion.deactivate, mia, olivia)

    assert names(role=Role.ADMIN) == ["alice"]
    assert names(deactivated=True) == ["mia"]
    assert names(deactivated=False) == ["alice", "olivia"]


def test_whoever_was_deleted_is_not_found(mia: Account) -> None:
    mia.erased_at = NOW
    db.session.commit()

    assert names() == ["olivia"]
    with refused(NotFound):
        admin.get(mia.id)


def test_nobody_is_found_under_an_id_that_nobody_has(olivia: Account) -> None:
    with refused(NotFound):
        admin.get(uuid4())


def test_many_people_are_shown_in_pages(
    olivia: Account, mia: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "PAGE_SIZE", 1)

    first = admin.find(Query())
    assert ([person.username for person in first.people], first.total) == (["mia"], 2)
    assert first.next is not None
    second = admin.find(Query(after=first.next))
    assert ([person.username for person in second.people], second.next) == (["olivia"], None)


# --- Who may look after whom ---


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", [Role.ADMIN, Role.OWNER])
def test_an_admin_looks_after_whoever_is_below(
    alice: Account, mia: Account, verb: Verb, role: Role
) -> None:
    do(verb, mia, alice)
    do(verb, factories.staff(Role.VIEWER, "vera"), alice)
    with refused(NotAllowed):
        do(verb, factories.staff(role, "oscar"), alice)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_who_is_no_admin_looks_after_nobody(mia: Account, verb: Verb, role: Role) -> None:
    with refused(NotAllowed):
        do(verb, mia, factories.staff(role, "vera"))


@pytest.mark.parametrize("verb", VERBS)
def test_an_owner_looks_after_everybody(olivia: Account, alice: Account, verb: Verb) -> None:
    do(verb, alice, olivia)
    do(verb, factories.owner(username="oscar"), olivia)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER, Role.ADMIN])
def test_only_owners_give_roles(mia: Account, role: Role) -> None:
    with refused(NotAllowed):
        give(mia, Role.OWNER, factories.staff(role, "vera"))


def test_who_was_deactivated_gives_no_roles(olivia: Account, mia: Account) -> None:
    oscar = factories.owner(username="oscar")
    do(deletion.deactivate, oscar, olivia)

    with refused(NotAllowed):
        give(mia, Role.OWNER, oscar)


# --- What it does ---


def test_a_new_role_ends_the_sessions_of_the_old_one(olivia: Account, mia: Account) -> None:
    session = enter("mia")  # case 29

    give(mia, Role.ADMIN, olivia)

    assert stored(mia).role is Role.ADMIN
    assert not lives(session)
    event = audit.latest(1)[0]
    assert (event.action, event.details) == (
        "account.role_changed",
        {"before": "member", "role": "admin"},
    )


def test_the_role_somebody_has_changes_nothing(olivia: Account, mia: Account) -> None:
    session = enter("mia")

    give(mia, Role.MEMBER, olivia)

    assert lives(session)


def test_a_deactivated_person_is_out_at_once_and_hears_of_it(
    olivia: Account, mia: Account
) -> None:  # case 29
    session = enter("mia")

    do(deletion.deactivate, mia, olivia)

    assert not lives(session)
    mail = db.session.scalars(sa.select(Mail).where(Mail.kind == "deactivated")).one()
    assert (mail.recipient, mail.about_id) == (mia.email, mia.id)
    with pytest.raises(PortalError, match="deactivated"):
        enter("mia")


def test_a_person_is_deactivated_once(olivia: Account, mia: Account) -> None:
    do(deletion.deactivate, mia, olivia)
    do(deletion.deactivate, mia, olivia)

    assert len(audit.about(mia.id)) == 2  # registered, deactivated
    assert len(db.session.scalars(sa.select(Mail)).all()) == 1


def test_an_activated_person_signs_in_again_with_all_tries(olivia: Account, mia: Account) -> None:
    do(deletion.deactivate, mia, olivia)
    mia.failed_sign_ins = 10
    db.session.commit()

    do(deletion.reactivate, mia, olivia)

    assert enter("mia")
    assert stored(mia).failed_sign_ins == 0


def test_who_is_active_cannot_be_activated(olivia: Account, mia: Account) -> None:
    do(deletion.reactivate, mia, olivia)

    assert audit.latest(1)[0].action != "account.reactivated"


def test_nobody_deactivates_themselves(olivia: Account) -> None:
    factories.owner(username="oscar")

    with refused(NotAllowed):
        do(deletion.deactivate, olivia, olivia)


def test_somebody_is_signed_out_everywhere(olivia: Account, mia: Account) -> None:
    laptop, phone, other = enter("mia"), enter("mia"), enter("olivia")

    assert admin.end_sessions(mia, by=olivia, origin=device(), now=NOW) == 2

    assert [lives(session) for session in (laptop, phone, other)] == [False, False, True]


@pytest.mark.parametrize("name", ["mia", "mia@example.org"])
def test_a_locked_sign_in_is_unlocked(olivia: Account, mia: Account, name: str) -> None:
    for _ in range(10):
        with refused(InvalidCredentials):
            enter(name, "wrong horse")
    with refused(LockedOut):
        enter(name)
    assert admin.is_locked(mia, now=NOW)
    assert not admin.is_locked(olivia, now=NOW)

    do(admin.unlock, mia, olivia)

    assert not admin.is_locked(mia, now=NOW)
    assert enter(name)


def test_a_known_device_is_unlocked_as_well(olivia: Account, mia: Account) -> None:
    laptop = device()
    accounts.sign_in("mia", PASSWORD, origin=laptop, now=NOW)
    for _ in range(10):
        with refused(InvalidCredentials):
            accounts.sign_in("mia", "wrong horse", origin=laptop, now=NOW)
    assert admin.is_locked(mia, now=NOW)
    assert not admin.is_locked(mia, now=NOW + timedelta(minutes=31))

    do(admin.unlock, mia, olivia)

    assert accounts.sign_in("mia", PASSWORD, origin=laptop, now=NOW)


# --- The last owner ---


def test_the_last_owner_keeps_the_role(olivia: Account) -> None:  # case 26
    with refused(LastOwner):
        give(olivia, Role.ADMIN, olivia)

    assert stored(olivia).role is Role.OWNER


def test_an_owner_who_cannot_sign_in_is_no_owner_to_count_on(olivia: Account) -> None:
    oscar = factories.owner(username="oscar")
    do(deletion.deactivate, oscar, olivia)

    with refused(LastOwner):
        give(olivia, Role.ADMIN, olivia)


def test_an_owner_steps_down_when_there_is_another(olivia: Account) -> None:
    factories.owner(username="oscar")

    give(olivia, Role.VIEWER, olivia)

    assert stored(olivia).role is Role.VIEWER
