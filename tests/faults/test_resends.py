"""Staff who send mails again, all at one moment, to one mailbox: it gets three an hour."""

from functools import partial
from uuid import UUID

import pytest
import sqlalchemy as sa

from portal.clock import utcnow
from portal.domain.mail import resend
from portal.extensions import db
from portal.models import Account, Mail
from tests import factories
from tests.faults.attack import Browser, at_once, must_break, statuses, twins
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

CLICKS = 8


@pytest.fixture
def invitations(olivia: Account) -> list[UUID]:
    """As many invitations as there are clicks, all to one mailbox."""
    recipient = "ana@example.org"
    made = [factories.invitation(olivia, utcnow(), recipient=recipient) for _ in range(CLICKS)]
    return [invitation.id for invitation in made]


# case 47
def test_resends_at_one_moment_are_three_an_hour(
    serve_portal: Serve, invitations: list[UUID]
) -> None:
    with serve_portal() as url:
        for _ in range(3):
            assert _resend_all(url, invitations) == resend.MOST_AN_HOUR


# case 47, its control
def test_looking_for_room_without_taking_turns_would_send_more(
    serve_unguarded: Serve, invitations: list[UUID]
) -> None:
    with serve_unguarded(UNGUARDED="room_looked_for_first") as url:
        must_break(lambda: _resend_all(url, invitations) > resend.MOST_AN_HOUR)


def _resend_all(url: str, invitations: list[UUID]) -> int:
    """Send each mail again, all at once; return how many were queued."""
    db.session.execute(sa.delete(Mail))
    db.session.commit()
    browser = Browser.open(url)
    browser.sign_in("olivia")
    answers = at_once(
        [
            partial(click.submit, f"/admin/invitations/{invitation}/mails")
            for click, invitation in zip(twins(CLICKS, browser), invitations, strict=True)
        ]
    )
    assert statuses(answers) == {303: CLICKS}
    resent = sa.select(sa.func.count()).where(Mail.kind == "invitation")
    queued = db.session.scalar(resent) or 0
    db.session.rollback()
    return queued
