"""Staff who act on the same invitation, or beside the device they unlock, at one moment."""

from functools import partial
from itertools import count
from uuid import UUID

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.domain.audit import chain
from portal.domain.lockout import lockout
from portal.extensions import db
from portal.models import Account, AuditEvent
from tests import factories
from tests.faults.attack import (
    Browser,
    at_once,
    browsers,
    evaluated,
    guess,
    must_break,
    statuses,
    twins,
)
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

SIX, TWENTY = 6, 20
_labels = count()


def test_of_staff_who_revoke_and_extend_at_once_one_revokes_and_nobody_extends_after(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal() as url:
        for _ in range(3):
            happened = _revoke_and_extend(url, olivia)
            assert happened.count("invitation.revoked") == 1
            assert happened[-1] == "invitation.revoked"


# its control
def test_looking_for_a_revocation_first_would_revoke_twice_and_extend_what_is_revoked(
    serve_unguarded: Serve, olivia: Account
) -> None:
    def attack() -> bool:
        happened = _revoke_and_extend(url, olivia)
        return happened.count("invitation.revoked") > 1 and happened[-1] == "invitation.extended"

    with serve_unguarded(UNGUARDED="revocation_looked_up_first") as url:
        must_break(attack)


# case 8
def test_an_unlocked_device_has_three_tries_however_many_run_beside_the_unlocking(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal() as url:
        assert _guess_while_unlocked(url) <= 3


# case 8, its control
def test_counting_afterwards_would_let_more_through_beside_an_unlocking(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="tries_counted_afterwards") as url:
        must_break(lambda: _guess_while_unlocked(url) > 3)


def _revoke_and_extend(url: str, olivia: Account) -> list[str]:
    """What was written down, in order, of what many did to one invitation."""
    invited = factories.invitation(olivia, utcnow(), label=f"desk {next(_labels)}")
    browser = Browser.open(url)
    browser.sign_in("olivia")
    page = f"/admin/invitations/{invited.id}"
    at_once(
        [partial(each.submit, f"{page}/revocation") for each in twins(SIX, browser)]
        + [
            partial(each.submit, f"{page}/extension", validity="days", days="30")
            for each in twins(SIX, browser)
        ]
    )
    return _events_of(invited.id)


def _events_of(invitation: UUID) -> list[str]:
    chain.catch_up()
    done = ("invitation.revoked", "invitation.extended")
    of_it = sa.select(AuditEvent.action).where(
        AuditEvent.subject_id == invitation, AuditEvent.action.in_(done)
    )
    return list(db.session.scalars(of_it.order_by(AuditEvent.number)))


def _guess_while_unlocked(url: str) -> int:
    """How many guesses of a locked device are looked at once staff unlock it."""
    locked, desk = browsers(2, url)
    desk.sign_in("olivia")
    before = set(lockout.locked(now=utcnow()))
    assert statuses([locked.redeem(guess()) for _ in range(3)]) == {422: 2, 429: 1}
    [device] = set(lockout.locked(now=utcnow())) - before
    looked_at = evaluated()
    at_once(
        [partial(desk.submit, "/admin/locks/devices/release", device=device)]
        + [partial(_guess_on, twin) for twin in twins(TWENTY, locked)]
    )
    return evaluated() - looked_at


def _guess_on(device: Browser) -> None:
    for _ in range(4):
        device.redeem(guess())
