"""The doctor's test mail, to a real SMTP server."""

import socket
from collections.abc import Iterator
from email import message_from_bytes

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from portal.ops.doctor import Level, send_test_mail

pytestmark = pytest.mark.usefixtures("context")

OLIVIA = "olivia@example.org"


class Mailbox:
    """What a mail server took; with a `refusal` it takes nothing."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.refusal = ""

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a message, or not."""
        if self.refusal:
            return self.refusal
        self.subjects.append(message_from_bytes(envelope.content or b"")["Subject"])
        return "250 OK"


@pytest.fixture
def server() -> Iterator[Controller]:
    """A mail server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as reservation:
        port = reservation.getsockname()[1]
    controller = Controller(Mailbox(), hostname="127.0.0.1", port=port)
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def mailbox(server: Controller) -> Mailbox:
    """The server's mailbox."""
    assert isinstance(server.handler, Mailbox)
    return server.handler


@pytest.fixture
def settings_changes(server: Controller) -> dict[str, object]:
    """The portal sends to that server."""
    return {"mail_url": f"smtp://127.0.0.1:{server.port}"}


def test_a_test_mail_arrives(mailbox: Mailbox) -> None:
    assert send_test_mail(OLIVIA).level is Level.GOOD
    assert mailbox.subjects == ["Test of Invitation Portal"]


def test_what_the_mail_server_says_is_repeated(mailbox: Mailbox) -> None:
    mailbox.refusal = "550 we do not relay"

    found = send_test_mail(OLIVIA)

    assert found.level is Level.BAD
    assert "550 we do not relay" in found.sentence
