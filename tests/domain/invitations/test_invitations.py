"""What staff do with invitations."""

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portal.domain.accounts import sessions
from portal.domain.audit import audit
from portal.domain.errors import (
    BadInput,
    CodeTaken,
    InvalidEmail,
    InvitationRevoked,
    KeyReused,
    NotAllowed,
    NotFound,
    UnsuitableCode,
)
from portal.domain.invitations import codes, invitations, redemptions
from portal.domain.invitations.invitations import Once, Terms
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, Invitation, Role, Status
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

TOMORROW = NOW + timedelta(days=1)


def revoke(invited: Invitation, *, end_sessions: bool = False) -> int:
    """Revoke, by whoever issued it."""
    by = db.session.get_one(Account, invited.created_by_id)
    return invitations.revoke(
        invited, by=by, origin=device(), now=TOMORROW, end_sessions=end_sessions
    )


def extend(invited: Invitation, days: int | None) -> None:
    """Let it run for so many days from now; None: for ever."""
    by = db.session.get_one(Account, invited.created_by_id)
    end = None if days is None else NOW + timedelta(days=days)
    invitations.extend(invited, expires_at=end, by=by, origin=device(), now=NOW)


def actions(invited: Invitation) -> list[str]:
    """What the audit log says was done with it."""
    return [event.action for event in audit.about(invited.id)]


ONCE = Once(key="key of a program", request='{"label": "Press"}')


def issue_once(by: Account, once: Once = ONCE, **terms: object) -> Invitation:
    """Issue as a program does that may repeat itself."""
    return invitations.issue(Terms(**terms), by=by, origin=device(), now=NOW, once=once)


def how_many() -> int:
    """How many invitations were committed."""
    db.session.rollback()
    return db.session.scalars(sa.select(sa.func.count()).select_from(Invitation)).one()


def mailed(by: Account, **terms: object) -> Invitation:
    """Issue an invitation and mail it."""
    return invitations.issue(Terms(**terms), by=by, origin=device(), now=NOW, mailed=True)


def test_an_invitation_keeps_every_term() -> None:
    olivia = factories.owner()
    terms = {
        "label": "Press",
        "starts_at": TOMORROW,
        "expires_at": NOW + timedelta(days=9),
        "max_uses": 12,
        "recipient": "@example.org",
        "grants_role": Role.ADMIN,
    }

    invited = stored(factories.invitation(olivia, **terms))

    assert {name: getattr(invited, name) for name in terms} == terms
    assert (invited.created_at, invited.created_by_id) == (NOW, olivia.id)
    assert (invited.uses, invited.opened_at, invited.revoked_at) == (0, None, None)
    assert actions(invited) == ["invitation.issued"]


def test_unless_told_otherwise_an_invitation_admits_one_device_and_never_ends() -> None:
    invited = invitations.issue(Terms(), by=factories.owner(), origin=device(), now=NOW)

    assert stored(invited).max_uses == 1
    assert invited.status(NOW + timedelta(days=36_500)) is Status.ACTIVE


def test_an_invitation_without_limits_is_told_so() -> None:
    invited = factories.invitation(factories.owner(), max_uses=None, expires_at=None)

    assert (stored(invited).max_uses, invited.expires_at, invited.uses_left) == (None, None, None)


def test_a_drawn_code_can_be_read_again_and_is_stored_nowhere() -> None:
    invited = stored(factories.invitation(factories.owner()))

    code = code_of(invited)

    codes.require_complete(code)
    assert codes.hint(code) == invited.hint
    assert codes.canonical(code).encode() not in invited.lookup + invited.sealed


def test_a_recipient_is_kept_in_its_one_form() -> None:
    invited = factories.invitation(factories.owner(), recipient=" Bob@Example.ORG ")

    assert stored(invited).recipient == "bob@example.org"


def test_a_recipient_that_is_no_address_is_refused() -> None:
    olivia = factories.owner()
    with refused(InvalidEmail):
        factories.invitation(olivia, recipient="bob")


@pytest.mark.parametrize(
    "terms",
    [
        {"expires_at": NOW},
        {"expires_at": NOW - timedelta(seconds=1)},
        {"starts_at": TOMORROW, "expires_at": TOMORROW},
        {"starts_at": TOMORROW + timedelta(days=1), "expires_at": TOMORROW},
        {"max_uses": 0},
        {"max_uses": -1},
    ],
)
def test_an_invitation_that_would_never_be_open_is_refused(terms: dict[str, object]) -> None:
    olivia = factories.owner()
    with refused(BadInput):
        factories.invitation(olivia, **terms)


def test_a_code_of_ones_own_is_shown_as_it_was_chosen() -> None:
    invited = factories.invitation(factories.owner(), code="Garden Party")

    assert code_of(stored(invited)) == "Garden Party"
    assert invited.hint == "ARTY"


@pytest.mark.parametrize("code", ["party", "------------", "x" * 33])
def test_an_unsuitable_code_of_ones_own_is_refused(code: str) -> None:
    olivia = factories.owner()
    with refused(UnsuitableCode):
        factories.invitation(olivia, code=code)


@pytest.mark.parametrize("again", ["Garden Oil", "garden-oil", "GARDEN 01L", "ｇａｒｄｅｎｏｉｌ"])
def test_a_code_is_taken_however_it_is_typed(again: str) -> None:
    olivia = factories.owner()
    factories.invitation(olivia, code="Garden Oil")

    with refused(CodeTaken):
        factories.invitation(olivia, code=again)


def test_a_repeated_request_of_a_program_issues_nothing_new() -> None:
    alice = factories.staff(Role.ADMIN, "alice")
    first = issue_once(alice)
    db.session.expunge_all()

    assert issue_once(db.session.get_one(Account, alice.id)).id == first.id

    assert how_many() == 1
    assert actions(first) == ["invitation.issued"]


def test_another_request_with_the_same_key_is_refused() -> None:
    alice = factories.staff(Role.ADMIN, "alice")
    issue_once(alice)

    with refused(KeyReused):
        issue_once(alice, Once(ONCE.key, request='{"label": "Concert"}'))
    assert how_many() == 1


def test_the_same_key_of_another_account_is_another_request() -> None:
    alice, oscar = factories.staff(Role.ADMIN, "alice"), factories.owner(username="oscar")

    assert issue_once(alice).id != issue_once(oscar).id


def test_a_request_that_was_refused_keeps_no_key() -> None:
    alice = factories.staff(Role.ADMIN, "alice")
    with refused(BadInput):
        issue_once(alice, max_uses=0)

    assert issue_once(alice, Once(ONCE.key, request="another"))


def test_an_invitation_for_one_address_can_be_mailed() -> None:
    olivia = factories.owner()

    invited = mailed(olivia, recipient="Bob@example.org")

    [mail] = outbox.latest(10)
    assert (mail.kind, mail.recipient, mail.about_id) == (
        "invitation",
        "bob@example.org",
        invited.id,
    )


@pytest.mark.parametrize("recipient", [None, "@example.org"])
def test_an_invitation_for_nobody_or_many_cannot_be_mailed(recipient: str | None) -> None:
    olivia = factories.owner()

    with refused(BadInput):
        mailed(olivia, recipient=recipient)

    assert (how_many(), outbox.latest(10)) == (0, [])


def test_the_code_of_a_revoked_invitation_stays_taken() -> None:
    olivia = factories.owner()
    revoke(factories.invitation(olivia, code="Garden Party"))

    with refused(CodeTaken):
        factories.invitation(olivia, code="Garden Party")


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_only_admins_and_owners_issue(role: Role) -> None:
    somebody = factories.staff(role, "vera")
    with refused(NotAllowed):
        factories.invitation(somebody)


def test_an_admin_issues() -> None:
    assert stored(factories.invitation(factories.staff(Role.ADMIN, "alice")))


def test_a_deactivated_admin_issues_nothing() -> None:
    alice = factories.staff(Role.ADMIN, "alice")
    alice.deactivated_at = NOW
    db.session.commit()

    with refused(NotAllowed):
        factories.invitation(alice)


@pytest.mark.parametrize(
    ("issuer", "granted"),
    [(Role.ADMIN, Role.VIEWER), (Role.ADMIN, Role.ADMIN), (Role.OWNER, Role.OWNER)],
)
def test_staff_grant_roles_up_to_their_own(issuer: Role, granted: Role) -> None:
    invited = factories.invitation(factories.staff(issuer, "alice"), grants_role=granted)

    assert stored(invited).grants_role is granted


@pytest.mark.parametrize(
    ("issuer", "granted"), [(Role.ADMIN, Role.OWNER), (Role.OWNER, Role.MEMBER)]
)
def test_nobody_grants_a_role_above_their_own_nor_membership(issuer: Role, granted: Role) -> None:
    alice = factories.staff(issuer, "alice")
    with refused(NotAllowed):
        factories.invitation(alice, grants_role=granted)


def test_showing_a_code_is_audited() -> None:
    olivia = factories.owner()
    invited = factories.invitation(olivia)

    code = invitations.reveal(invited, by=olivia, origin=device(), now=TOMORROW)

    assert code == code_of(invited)
    shown = audit.about(stored(invited).id)[-1]
    assert (shown.action, shown.actor_id, shown.at) == (
        "invitation.code_shown",
        olivia.id,
        TOMORROW,
    )
    assert code not in str(shown.details)


def test_a_viewer_is_shown_no_code() -> None:  # case 62
    vera = factories.staff(Role.VIEWER, "vera")
    invited = factories.invitation(factories.owner())

    with refused(NotAllowed):
        invitations.reveal(invited, by=vera, origin=device(), now=NOW)
    assert actions(invited) == ["invitation.issued"]


def test_a_revoked_invitation_is_revoked_from_that_moment() -> None:
    invited = factories.invitation(factories.owner())

    assert revoke(invited) == 0

    assert stored(invited).revoked_at == TOMORROW
    assert invited.status(TOMORROW) is Status.REVOKED
    assert not invited.can_be_changed


def test_revoking_twice_changes_nothing() -> None:
    olivia = factories.owner()
    invited = factories.invitation(olivia)
    revoke(invited)

    later = TOMORROW + timedelta(hours=1)
    assert invitations.revoke(invited, by=olivia, origin=device(), now=later) == 0

    assert stored(invited).revoked_at == TOMORROW
    assert actions(invited) == ["invitation.issued", "invitation.revoked"]


def test_revoking_lets_those_stay_who_are_in() -> None:
    invited = factories.invitation(factories.owner())
    inside = redemptions.admit(code_of(invited), origin=device(), now=NOW)

    assert revoke(invited) == 0

    assert sessions.find_invitee(inside.id, now=TOMORROW) is not None


def test_revoking_can_end_the_sessions_of_those_who_are_in() -> None:
    olivia = factories.owner()
    party, concert = (factories.invitation(olivia, max_uses=3) for _ in range(2))
    inside = [redemptions.admit(code_of(party), origin=device(), now=NOW) for _ in range(2)]
    elsewhere = redemptions.admit(code_of(concert), origin=device(), now=NOW)

    assert revoke(party, end_sessions=True) == 2

    assert audit.about(party.id)[-1].details == {"sessions_ended": 2}
    assert [sessions.find_invitee(session.id, now=TOMORROW) for session in inside] == [None, None]
    assert sessions.find_invitee(elsewhere.id, now=TOMORROW) is not None


def test_sessions_can_be_ended_after_the_invitation_was_revoked() -> None:
    invited = factories.invitation(factories.owner())
    redemptions.admit(code_of(invited), origin=device(), now=NOW)
    revoke(invited)

    assert revoke(invited, end_sessions=True) == 1
    assert revoke(invited, end_sessions=True) == 0


@pytest.mark.parametrize("days", [1, 30])
def test_an_invitation_can_be_made_to_end_sooner_or_later(days: int) -> None:
    invited = factories.invitation(factories.owner())

    extend(invited, days)

    assert stored(invited).expires_at == NOW + timedelta(days=days)
    assert actions(invited) == ["invitation.issued", "invitation.extended"]


def test_an_invitation_can_be_made_to_run_for_ever() -> None:
    invited = factories.invitation(factories.owner())

    extend(invited, None)

    assert stored(invited).expires_at is None


def test_an_extended_invitation_opens_again() -> None:
    past = NOW - timedelta(days=30)
    invited = factories.invitation(factories.owner(), now=past)
    assert invited.status(NOW) is Status.EXPIRED

    extend(invited, 1)

    assert factories.redeem(code_of(invited), origin=device(), now=NOW).at == NOW


def test_an_invitation_is_not_extended_into_the_past() -> None:
    invited = factories.invitation(factories.owner())
    with refused(BadInput):
        extend(invited, 0)


def test_an_invitation_does_not_end_before_it_opens() -> None:
    invited = factories.invitation(factories.owner(), starts_at=TOMORROW + timedelta(days=1))
    with refused(BadInput):
        extend(invited, 1)


def test_a_revoked_invitation_is_not_extended() -> None:
    invited = factories.invitation(factories.owner())
    revoke(invited)

    with refused(InvitationRevoked):
        extend(invited, 30)

    assert stored(invited).expires_at == NOW + timedelta(days=7)


def test_a_viewer_changes_no_invitation() -> None:
    vera = factories.staff(Role.VIEWER, "vera")
    invited = factories.invitation(factories.owner())

    with refused(NotAllowed):
        invitations.revoke(invited, by=vera, origin=device(), now=NOW)
    with refused(NotAllowed):
        invitations.extend(invited, expires_at=None, by=vera, origin=device(), now=NOW)

    assert stored(invited).revoked_at is None
    assert actions(invited) == ["invitation.issued"]


def test_an_invitation_is_found_with_whoever_issued_it() -> None:
    invited = factories.invitation(factories.owner())
    db.session.expunge_all()

    assert invitations.get(invited.id).created_by.username == "olivia"


def test_an_unknown_invitation_is_not_found() -> None:
    with refused(NotFound):
        invitations.get(uuid4())


def test_codes_of_a_replaced_secret_stay_taken(database_url: str) -> None:
    from portal import create_app
    from tests.conftest import SECRET, make_settings

    olivia = factories.owner()
    factories.invitation(olivia, code="Garden Party")
    rotated = make_settings(
        database_url,
        secret_key="another secret for the tests that is long too",
        secret_key_fallbacks=[SECRET],
    )
    with create_app(rotated).app_context():
        with refused(CodeTaken):
            factories.invitation(olivia, code="garden party")
        db.engine.dispose()
