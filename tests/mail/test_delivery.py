"""Mail, from the outbox to a real SMTP server."""

import email
import email.policy
import socket
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from portal.clock import utcnow
from portal.domain.invitations.invitations import Terms, issue
from portal.domain.mail import outbox
from portal.extensions import db
from portal.mail import delivery
from portal.mail.invitation_messages import Letter
from portal.mail.smtp import Server
from portal.models import Invitation, Mail, MailState
from tests import factories
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context", "noon")


class Mailbox:
    """What a mail server took; `answers` are what it says to the next messages instead of yes."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.answers: list[str] = []
        self.extensions: list[str] = []
        self.refused = ""

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, replies: list[str]
    ) -> list[str]:
        """Say what else it can do."""
        session.host_name = hostname
        return [*replies[:-1], *(f"250-{extension}" for extension in self.extensions), replies[-1]]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or refuse it."""
        if address == self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a message, or refuse it."""
        if self.answers:
            return self.answers.pop(0)
        message = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.taken.append(message)
        return "250 OK"


@pytest.fixture(scope="module")
def server() -> Iterator[Controller]:
    """A mail server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as reservation:
        port = reservation.getsockname()[1]
    controller = Controller(Mailbox(), hostname="127.0.0.1", port=port)
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture(params=[[], ["PIPELINING"]], ids=["one by one", "pipelining"])
def mailbox(server: Controller, request: pytest.FixtureRequest) -> Mailbox:
    """The server's mailbox, empty; the server takes commands one by one, or all at once."""
    server.handler.__init__()
    assert isinstance(server.handler, Mailbox)
    server.handler.extensions = request.param
    return server.handler


@pytest.fixture
def settings_changes(server: Controller) -> dict[str, object]:
    """The portal sends to that server."""
    url = f"smtp://127.0.0.1:{server.port}"
    return {"mail_url": url, "public_url": "https://invite.example.org"}


@pytest.fixture
def noon() -> Iterator[time_machine.Traveller]:
    """The clock, standing at NOW."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def invited(recipient: str = "guest@example.com") -> Invitation:
    """An invitation, and its mail in the outbox."""
    invitation = factories.invitation(factories.owner(), recipient=recipient)
    outbox.queue("invitation", to=recipient, about=invitation.id, now=NOW)
    db.session.commit()
    return invitation


def only_mail() -> Mail:
    """The one mail there is, as the database has it."""
    db.session.expire_all()
    (mail,) = outbox.latest(2)
    return mail


def test_an_invitation_is_mailed_with_its_code_and_link(mailbox: Mailbox) -> None:
    invitation = invited()

    delivery.send_due()

    (message,) = mailbox.taken
    text = message.get_body(("plain",))
    page = message.get_body(("html",))
    assert text is not None
    assert page is not None
    assert message["To"] == "guest@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    for body in (text.get_content(), page.get_content()):
        assert code_of(invitation) in body
        assert f"https://invite.example.org/?code={code_of(invitation)}" in body
    assert only_mail().state is MailState.SENT


def test_a_mail_is_sent_once(mailbox: Mailbox) -> None:
    invited()

    delivery.send_due()
    delivery.send_due()

    assert len(mailbox.taken) == 1


# case 74
def test_a_mail_sent_again_after_a_crash_has_the_same_message_id(
    mailbox: Mailbox, noon: time_machine.Traveller
) -> None:
    invited()
    delivery.send_due()
    mail = only_mail()
    mail.state, mail.leased_until = MailState.WAITING, NOW + outbox.LEASE
    db.session.commit()

    delivery.send_due()
    assert len(mailbox.taken) == 1, "the lease of the worker that died still runs"
    noon.move_to(NOW + outbox.LEASE)
    delivery.send_due()

    first, second = mailbox.taken
    assert first["Message-ID"] == second["Message-ID"]


# case 75
def test_a_mail_that_is_refused_for_now_is_sent_later(
    mailbox: Mailbox, noon: time_machine.Traveller
) -> None:
    invited()
    mailbox.answers = ["451 come back later"]

    delivery.send_due()
    delivery.send_due()
    assert only_mail().state is MailState.WAITING
    assert only_mail().error == "451 come back later"
    assert only_mail().due_at == NOW + timedelta(minutes=1)
    noon.move_to(NOW + timedelta(minutes=1))
    delivery.send_due()

    assert len(mailbox.taken) == 1
    assert only_mail().state is MailState.SENT


def test_a_mail_that_is_refused_for_good_waits_for_the_owner(mailbox: Mailbox) -> None:
    invited()
    mailbox.answers = ["550 no such mailbox"]

    delivery.send_due()
    assert only_mail().state is MailState.FAILED
    assert only_mail().error == "550 no such mailbox"
    outbox.retry(only_mail(), now=NOW)
    delivery.send_due()

    assert only_mail().state is MailState.SENT


def test_one_refused_mail_does_not_hold_up_the_others(mailbox: Mailbox) -> None:
    invitation = invited()
    for name in ("anna", "bert"):
        outbox.queue("invitation", to=f"{name}@example.com", about=invitation.id, now=NOW)
    db.session.commit()
    mailbox.answers = ["550 no such mailbox"]

    delivery.send_due()

    assert len(mailbox.taken) == 2
    assert outbox.counts() == {MailState.WAITING: 0, MailState.SENT: 2, MailState.FAILED: 1}


def test_a_refused_recipient_does_not_hold_up_the_others(mailbox: Mailbox) -> None:
    invitation = invited()
    for name in ("anna", "bert"):
        outbox.queue("invitation", to=f"{name}@example.com", about=invitation.id, now=NOW)
    db.session.commit()
    mailbox.refused = "anna@example.com"

    delivery.send_due()

    (failed,) = outbox.latest(2, state=MailState.FAILED)
    assert (failed.recipient, failed.error) == ("anna@example.com", "550 no such mailbox")
    assert {message["To"] for message in mailbox.taken} == {"guest@example.com", "bert@example.com"}


def test_mails_are_made_while_the_server_takes_others_and_settled_one_by_one(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    invitation = invited()
    for name in ("anna", "bert"):
        outbox.queue("invitation", to=f"{name}@example.com", about=invitation.id, now=NOW)
    db.session.commit()
    made, handed_over = [], []
    render, send = delivery.render, Server.send

    def note_made(*values: Any) -> Letter:
        letter = render(*values)
        made.append((len(handed_over), outbox.counts()[MailState.SENT]))
        return letter

    def note_handed_over(self: Server, words: str | bytes) -> None:
        if isinstance(words, bytes):  # no command: the content
            handed_over.append(outbox.counts()[MailState.SENT])
        send(self, words)

    monkeypatch.setattr(delivery, "render", note_made)
    monkeypatch.setattr(Server, "send", note_handed_over)
    delivery.send_due()

    assert made == [(0, 0), (1, 0), (2, 1)], "made before the one before it is settled"
    assert handed_over == [0, 1, 2], "settled before the content leaves"


@pytest.mark.parametrize("step", ["render", "matters"])
def test_a_mail_that_cannot_be_written_waits_and_stops_no_other(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    invitation = invited()
    for name in ("anna", "bert"):
        outbox.queue("invitation", to=f"{name}@example.com", about=invitation.id, now=NOW)
    db.session.commit()
    done = getattr(delivery, step)

    def refuse_annas(which: Any, *values: Any) -> Any:
        if "anna@example.com" in {mail.recipient for mail in (which if not values else [which])}:
            raise RuntimeError("out of order")
        return done(which, *values)

    monkeypatch.setattr(delivery, step, refuse_annas)
    delivery.send_due()

    assert {message["To"] for message in mailbox.taken} == {"guest@example.com", "bert@example.com"}
    [waiting] = outbox.latest(3, state=MailState.WAITING)
    assert waiting.error == "It could not be written: RuntimeError. The log says more."
    assert (waiting.leased_until, waiting.due_at) == (None, NOW + outbox.PAUSES[0])


# case 85
def test_mails_that_a_dead_worker_held_are_sent_one_by_one(mailbox: Mailbox) -> None:
    invitation = invited()
    outbox.queue("invitation", to="anna@example.com", about=invitation.id, now=NOW)
    db.session.commit()
    assert len(outbox.lease(20, now=NOW)) == 2  # by a worker that dies

    later = NOW + outbox.LEASE
    assert outbox.lease(20, now=later) == []
    [first], [second] = outbox.lease_suspect(now=later), outbox.lease_suspect(now=later)

    assert first.id != second.id
    assert outbox.lease_suspect(now=later) == []


# case 85
def test_a_mail_that_two_workers_died_of_is_given_up_until_somebody_sends_it_again(
    mailbox: Mailbox, noon: time_machine.Traveller
) -> None:
    invited()
    outbox.lease(20, now=NOW)
    outbox.lease_suspect(now=NOW + outbox.LEASE)
    noon.move_to(NOW + 2 * outbox.LEASE)

    delivery.send_due()

    assert mailbox.taken == []
    [given_up] = outbox.latest(1, state=MailState.FAILED)
    assert given_up.error == "Every worker that tried to send it was stopped."

    outbox.retry(given_up, now=utcnow())
    delivery.send_due()
    assert len(mailbox.taken) == 1


def test_a_server_that_hangs_up_costs_the_mail_behind_no_try(mailbox: Mailbox) -> None:
    invitation = invited()
    outbox.queue("invitation", to="anna@example.com", about=invitation.id, now=NOW)
    db.session.commit()
    mailbox.answers = ["421 gone for now"]

    delivery.send_due()

    (message,) = mailbox.taken
    assert outbox.counts() == {MailState.WAITING: 1, MailState.SENT: 1, MailState.FAILED: 0}
    (waiting,) = outbox.latest(2, state=MailState.WAITING)
    assert {waiting.recipient, message["To"]} == {"guest@example.com", "anna@example.com"}
    assert waiting.error == "421 gone for now"


def test_lines_that_begin_with_a_dot_arrive_as_they_are(mailbox: Mailbox) -> None:
    terms = Terms(recipient="guest@example.com")
    words = {"subject": "Dots", "message": ".one\n..two\n."}
    issue(terms, by=factories.owner(), origin=device(), now=NOW, mailed=True, **words)

    delivery.send_due()

    (message,) = mailbox.taken
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines()[:3] == [".one", "..two", "."]


def test_a_mail_is_given_up_after_its_last_pause(noon: time_machine.Traveller) -> None:
    invited()
    moment = NOW
    for pause in outbox.PAUSES:
        (mail,) = outbox.lease(1, now=moment)
        outbox.failed(mail, "451 not now", now=moment)
        assert only_mail().due_at == moment + pause
        moment += pause

    (mail,) = outbox.lease(1, now=moment)
    outbox.failed(mail, "451 not now", now=moment)

    assert only_mail().state is MailState.FAILED


def test_two_workers_never_lease_the_same_mail() -> None:
    invited()

    assert len(outbox.lease(10, now=NOW)) == 1
    assert outbox.lease(10, now=NOW) == []


def test_the_command_line_sends_what_is_due_and_says_how_it_stands(
    app: Flask, mailbox: Mailbox
) -> None:
    invited()
    runner = app.test_cli_runner()

    assert runner.invoke(args=["outbox", "run", "--once"]).exit_code == 0

    assert runner.invoke(args=["outbox", "status"]).output == "waiting: 0\nsent: 1\nfailed: 0\n"
