"""What happens to mail while there is no server to take it."""

from collections.abc import Iterator

import pytest
import time_machine

from portal.domain.invitations.invitations import Terms, issue
from portal.domain.mail import outbox
from portal.extensions import db
from portal.mail import delivery
from portal.models import MailState
from tests import factories
from tests.factories import NOW, device

pytestmark = pytest.mark.usefixtures("context", "noon")

NOBODY_THERE = {"mail_url": "smtp://127.0.0.1:1"}


@pytest.fixture
def noon() -> Iterator[None]:
    """The clock, standing at NOW."""
    with time_machine.travel(NOW, tick=False):
        yield


def mailed_invitation() -> None:
    """An invitation whose issuer wants it mailed."""
    terms = Terms(recipient="guest@example.com")
    issue(terms, by=factories.owner(), origin=device(), now=NOW, mailed=True)


@pytest.mark.parametrize("settings_changes", [NOBODY_THERE])
def test_while_the_server_is_away_mail_waits_with_the_reason() -> None:  # case 75
    mailed_invitation()

    delivery.send_due()

    db.session.expire_all()
    (mail,) = outbox.latest(2)
    assert mail.state is MailState.WAITING
    assert mail.error is not None
    assert "away" in mail.error
    assert mail.due_at > NOW


def test_without_a_server_mail_waits_untouched() -> None:
    mailed_invitation()

    assert delivery.send_due() == 0

    (mail,) = outbox.latest(2)
    assert (mail.state, mail.tries) == (MailState.WAITING, 0)
