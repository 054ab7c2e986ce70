"""Sessions: how long they live, and what ends them at once."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portal.domain.accounts import accounts, sessions
from portal.domain.invitations import redemptions
from portal.extensions import db
from portal.models import Session
from tests import factories
from tests.conftest import run_sql
from tests.domain.outcomes import stored
from tests.factories import NOW, PASSWORD, code_of, device

pytestmark = pytest.mark.usefixtures("context")

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def staff_session(username: str = "olivia") -> Session:
    """A session of an owner, opened at NOW."""
    factories.owner(username=username)
    return accounts.sign_in(username, PASSWORD, origin=device(), now=NOW)


def invitee_session() -> Session:
    """A session that a code opened at NOW."""
    invited = factories.invitation(factories.owner())
    return redemptions.admit(code_of(invited), origin=device(), now=NOW)


def lives(session: Session, now: datetime) -> bool:
    """Whether a request at `now` would be let in with it."""
    db.session.rollback()
    find = sessions.find_staff if session.account_id else sessions.find_invitee
    return find(session.id, now=now) is not None


def test_a_session_is_found_with_its_account() -> None:
    session = staff_session()
    db.session.expunge_all()

    found = sessions.find_staff(session.id, now=NOW)

    assert found is not None
    assert found.account is not None
    assert found.account.username == "olivia"


def test_an_unknown_session_is_not_found() -> None:
    staff_session()

    assert sessions.find_staff(uuid4(), now=NOW) is None


def test_a_session_goes_idle_after_thirty_minutes() -> None:
    session = staff_session()

    assert not lives(session, NOW + 30 * MINUTE)


def test_use_keeps_a_session_from_going_idle() -> None:
    session = staff_session()

    assert lives(session, NOW + 30 * MINUTE - SECOND)
    assert lives(session, NOW + 59 * MINUTE)
    assert not lives(session, NOW + 89 * MINUTE)


def test_an_idle_session_cannot_be_woken() -> None:
    session = staff_session()
    assert not lives(session, NOW + 31 * MINUTE)

    assert not lives(session, NOW + 32 * MINUTE)


def test_use_is_written_down_once_a_minute() -> None:
    session = staff_session()

    lives(session, NOW + 59 * SECOND)
    assert stored(session).last_seen_at == NOW
    lives(session, NOW + 60 * SECOND)
    assert stored(session).last_seen_at == NOW + MINUTE


def test_a_session_of_staff_lives_twelve_hours_at_most() -> None:
    session = staff_session()
    for quarters in range(1, 48):
        assert lives(session, NOW + quarters * 15 * MINUTE)

    assert lives(session, NOW + timedelta(hours=12) - SECOND)
    assert not lives(session, NOW + timedelta(hours=12))


def test_a_revoked_session_ends_at_once() -> None:  # case 29
    session = staff_session()

    sessions.revoke(session, now=NOW)
    db.session.commit()

    assert not lives(session, NOW)


def test_a_deactivated_account_has_no_living_session() -> None:  # case 29
    session = staff_session()
    run_sql("UPDATE account SET deactivated_at = created_at")
    db.session.expunge_all()

    assert not lives(session, NOW)


def test_all_sessions_of_one_account_are_revoked_together() -> None:
    laptop, other = staff_session(), staff_session("oscar")
    phone = accounts.sign_in("olivia", PASSWORD, origin=device(), now=NOW)

    assert laptop.account_id is not None
    assert sessions.revoke_all_of(laptop.account_id, now=NOW) == 2
    db.session.commit()

    assert sessions.revoke_all_of(laptop.account_id, now=NOW) == 0
    db.session.expunge_all()
    assert [lives(session, NOW) for session in (laptop, phone, other)] == [False, False, True]


def test_an_invitee_session_is_found_with_its_invitation() -> None:
    session = invitee_session()
    db.session.expunge_all()

    found = sessions.find_invitee(session.id, now=NOW)

    assert found is not None
    assert found.account_id is None
    assert found.redemption is not None
    assert found.redemption.invitation.max_uses == 1


def test_an_invitee_session_does_not_go_idle_but_ends_after_thirty_days() -> None:
    session = invitee_session()

    assert lives(session, NOW + timedelta(days=30) - SECOND)
    assert not lives(session, NOW + timedelta(days=30))


def test_an_invitee_session_outlives_the_end_of_its_invitation() -> None:
    session = invitee_session()

    assert lives(session, NOW + timedelta(days=8))


def test_a_device_that_comes_back_after_signing_out_is_given_a_new_session() -> None:
    invited = factories.invitation(factories.owner())
    phone = device()
    old = redemptions.admit(code_of(invited), origin=phone, now=NOW)
    accounts.sign_out(old, origin=phone, now=NOW)

    new = redemptions.admit(code_of(invited), origin=phone, now=NOW)

    assert new.id != old.id
    assert lives(new, NOW)
    assert not lives(old, NOW)


def test_the_sessions_an_invitation_let_in_are_counted_while_they_live() -> None:
    session = invitee_session()
    staff_session("oscar")
    assert session.redemption is not None
    invitation = session.redemption.invitation_id

    assert sessions.count_admitted_by(invitation, now=NOW) == 1
    assert sessions.count_admitted_by(invitation, now=NOW + timedelta(days=30)) == 0
    assert sessions.revoke_admitted_by(invitation, now=NOW) == 1
    assert sessions.count_admitted_by(invitation, now=NOW) == 0


def test_an_account_knows_the_devices_it_signed_in_on_even_when_signed_out() -> None:
    olivia = factories.owner()
    laptop = device("laptop")
    session = accounts.sign_in("olivia", PASSWORD, origin=laptop, now=NOW)
    accounts.sign_out(session, origin=laptop, now=NOW)

    assert sessions.knows_device(olivia.id, laptop)
    assert not sessions.knows_device(olivia.id, device())
    assert not sessions.knows_device(factories.owner(username="oscar").id, laptop)


def test_a_session_belongs_to_an_account_or_an_invitee_never_to_both_or_none() -> None:
    session = staff_session()
    assert stored(session).redemption_id is None

    with pytest.raises(sa.exc.IntegrityError):
        run_sql("UPDATE session SET account_id = NULL")


def test_a_time_without_a_zone_is_refused() -> None:
    session = staff_session()
    session.revoked_at = NOW.replace(tzinfo=None)

    with pytest.raises(sa.exc.StatementError, match="needs its zone"):
        db.session.commit()


def test_a_time_of_any_zone_comes_back_in_utc() -> None:
    from zoneinfo import ZoneInfo

    session = staff_session()
    sessions.revoke(session, now=NOW.astimezone(ZoneInfo("Asia/Jakarta")))
    db.session.commit()

    revoked_at = stored(session).revoked_at
    assert revoked_at is not None
    assert (revoked_at, revoked_at.utcoffset()) == (NOW, timedelta(0))
