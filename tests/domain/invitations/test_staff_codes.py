"""Codes that make somebody staff: worth no more than their issuer is when they are used."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.domain.accounts import accounts, admin, deletion, registration
from portal.domain.audit import audit
from portal.domain.errors import CodeRefused, InvitationWithdrawn, TooManyFailures
from portal.domain.invitations import invitations, redemptions
from portal.domain.tokens import mobile
from portal.extensions import db
from portal.models import Account, Invitation, Role
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, code_of, device

pytestmark = pytest.mark.usefixtures("context")

DAY = timedelta(days=1)
Change = Callable[[Account, Account], object]


@pytest.fixture
def olivia() -> Account:
    """The owner, who stays."""
    return factories.owner()


@pytest.fixture
def alice(olivia: Account) -> Account:
    """An owner as well, of whom the tests make less."""
    return factories.owner(username="alice")


def give(role: Role) -> Change:
    """Giving Alice that role."""

    def change(alice: Account, olivia: Account) -> int:
        return admin.change_role(alice, role, by=olivia, origin=device(), now=NOW)

    return change


def deactivate(alice: Account, olivia: Account) -> int:
    """Keeping Alice out."""
    return deletion.deactivate(alice, by=olivia, origin=device(), now=NOW)


def erase(alice: Account, _: Account) -> None:
    """Alice deletes her account."""
    here = factories.session_of(alice)
    deletion.erase(alice, PASSWORD, session=here, origin=device(), now=NOW)


def step_down(alice: Account, _: Account) -> int:
    """Alice makes herself an admin."""
    return admin.change_role(alice, Role.ADMIN, by=alice, origin=device(), now=NOW)


def register(code: str, name: str = "zoe") -> Account:
    """Register as staff with a code."""
    return accounts.register(
        email=f"{name}@example.org",
        username=name,
        password=PASSWORD,
        invitation_code=code,
        origin=device(),
        now=NOW,
    )


def sign_up(code: str, name: str = "zoe") -> Account | None:
    """Sign up as a member, with a code that grants more."""
    return registration.sign_up(
        email=f"{name}@example.org",
        password=PASSWORD,
        invitation_code=code,
        origin=device(),
        now=NOW,
    )


# case 82
@pytest.mark.parametrize(
    ("change", "left"),
    [
        (give(Role.ADMIN), {Role.VIEWER, Role.ADMIN}),
        (step_down, {Role.VIEWER, Role.ADMIN}),
        (give(Role.VIEWER), set()),
        (give(Role.MEMBER), set()),
        (deactivate, set()),
        (erase, set()),
    ],
)
def test_whoever_is_less_loses_the_codes_that_give_more(
    olivia: Account, alice: Account, change: Change, left: set[Role]
) -> None:
    roles = (Role.VIEWER, Role.ADMIN, Role.OWNER)
    issued = {role: factories.invitation(alice, grants_role=role) for role in roles}
    guest, other = factories.invitation(alice), factories.invitation(olivia, grants_role=Role.OWNER)
    assert invitations.count_staff_codes(alice, now=NOW) == 3

    change(alice, olivia)

    assert {role for role, code in issued.items() if stored(code).revoked_at is None} == left
    assert stored(guest).revoked_at is None
    assert stored(other).revoked_at is None
    last = audit.about(issued[Role.OWNER].id)[-1]
    assert (last.action, last.actor_id is not None) == ("invitation.revoked", True)
    with refused(CodeRefused):
        register(code_of(issued[Role.OWNER]))
    assert invitations.count_staff_codes(alice, now=NOW) == len(left)


# case 82
def test_what_was_used_or_has_ended_is_left_as_it_is(olivia: Account, alice: Account) -> None:
    used = factories.invitation(alice, grants_role=Role.ADMIN)
    register(code_of(used))

    assert deactivate(alice, olivia) == 0
    assert stored(used).revoked_at is None


# case 82
def test_a_member_whom_wrong_passwords_deactivate_leaves_no_staff_code(olivia: Account) -> None:
    mia = factories.staff(Role.ADMIN, "mia")
    left_over = factories.invitation(mia, grants_role=Role.ADMIN)
    mia.role = Role.MEMBER
    db.session.commit()

    phone = device()
    for _ in range(mobile.MOST_FAILURES):
        with pytest.raises(Exception) as refusal:  # noqa: PT011 - the last one is looked at
            mobile.sign_in("mia", "wrong", origin=phone, now=NOW, lasts=DAY)

    assert isinstance(refusal.value, TooManyFailures)
    assert stored(left_over).revoked_at is not None


@pytest.fixture(params=[Role.VIEWER, Role.MEMBER, None])
def left_over(request: pytest.FixtureRequest, olivia: Account, alice: Account) -> Invitation:
    """An open code of an issuer who is less by now: as a former version, or a race, leaves it."""
    issued = factories.invitation(alice, grants_role=Role.ADMIN)
    alice.role = request.param or alice.role
    alice.deactivated_at = None if request.param else NOW
    db.session.commit()
    return issued


# case 82
@pytest.mark.parametrize("enter", [register, sign_up])
def test_a_code_whose_issuer_is_less_by_now_makes_nobody_staff(
    left_over: Invitation, enter: Callable[[str], object]
) -> None:
    with refused(InvitationWithdrawn) as refusal:
        enter(code_of(left_over))

    assert refusal.value.name == "invitation_withdrawn"
    assert accounts.find("zoe") is None
    assert accounts.find("zoe@example.org") is None
    assert stored(left_over).uses == 0


# case 82
def test_a_look_at_such_a_code_says_that_it_is_no_longer_valid(left_over: Invitation) -> None:
    with refused(InvitationWithdrawn):
        redemptions.check(code_of(left_over), origin=device(), now=NOW)


# case 82
def test_a_code_that_gives_no_role_outlives_its_issuers_role(
    olivia: Account, alice: Account
) -> None:
    guest = factories.invitation(alice)
    give(Role.VIEWER)(alice, olivia)

    assert factories.redeem(code_of(guest), origin=device(), now=NOW)


# case 82
def test_a_code_within_the_role_that_was_left_still_opens(olivia: Account, alice: Account) -> None:
    code = code_of(factories.invitation(alice, grants_role=Role.ADMIN))
    give(Role.ADMIN)(alice, olivia)

    assert register(code).role is Role.ADMIN
