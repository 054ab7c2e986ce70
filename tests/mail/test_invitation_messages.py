"""What stands in a mail, as its reader gets it."""

import email
import email.policy
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
import time_machine

from portal.domain.errors import BadInput
from portal.domain.invitations import recipient_verification
from portal.domain.invitations.invitations import Terms, issue
from portal.domain.mail import invitation_mail, outbox, unsubscribe
from portal.extensions import db
from portal.mail import invitation_messages, qr
from portal.models import Account, Invitation, Mail
from tests import factories
from tests.domain.mail.test_resend import batch_of
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context", "noon")


@pytest.fixture
def settings_changes() -> dict[str, object]:
    return {"public_url": "https://invite.example.org", "site_name": "Köln & Friends"}


@pytest.fixture
def noon() -> Iterator[None]:
    """The clock, standing at NOW."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def olivia(context: None) -> Account:
    return factories.owner()


def mailed(by: Account, *, subject: str = "", message: str = "", **terms: Any) -> Invitation:
    """An invitation whose mail waits."""
    chosen = Terms(**{"recipient": "ana@example.org", **terms})
    words = {"subject": subject, "message": message}
    return issue(chosen, by=by, origin=device(), now=NOW, mailed=True, **words)


def sent(kind: str = "invitation") -> EmailMessage:
    """The last mail queued, as a mail program reads it."""
    (mail,) = outbox.latest(1)
    mail.kind = kind
    return read(mail)


def read(mail: Mail) -> EmailMessage:
    """A mail of the outbox, as a mail program reads it."""
    written = invitation_messages.render(mail, invitation_mail.matters([mail])[mail.id]).as_bytes()
    assert b"\n" not in written.replace(b"\r\n", b"")
    assert max(len(line) for line in written.splitlines()) < 998
    message = email.message_from_bytes(written, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def text(message: EmailMessage, kind: str = "plain") -> str:
    """A body of it."""
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_mail_says_who_invites_where_and_until_when(olivia: Account) -> None:
    invitation = mailed(olivia, recipient_name="Ana", expires_at=NOW + timedelta(days=7))
    message = sent()
    assert message["Subject"] == "Your invitation to Köln & Friends"
    assert text(message).startswith("Hello Ana,\n\nolivia invites you to Köln & Friends.\n")
    for body in (text(message), text(message, "html")):
        assert code_of(invitation) in body
        assert f"https://invite.example.org/?code={code_of(invitation)}" in body
        assert "Valid until 28 November 2026, 12:00 UTC." in body


def test_the_html_shows_the_code_as_a_picture_of_its_own(olivia: Account) -> None:
    invitation = mailed(olivia)
    html = sent().get_body(("related", "html"))
    assert html is not None
    (picture,) = [part for part in sent().walk() if part.get_content_type() == "image/png"]
    proof = recipient_verification.of_link(invitation.id, "ana@example.org")
    link = f"https://invite.example.org/?code={code_of(invitation)}&proof={proof}"
    assert picture.get_content() == qr.qr_png(link)
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in text(sent(), "html")


def test_no_part_of_a_mail_is_fetched_from_anywhere(olivia: Account) -> None:
    mailed(olivia)
    assert 'src="http' not in text(sent(), "html")


def test_a_mail_is_in_the_language_of_its_reader(olivia: Account) -> None:
    mailed(olivia, recipient_name="Budi", language="id", starts_at=NOW + timedelta(days=11))
    message = sent()
    assert message["Subject"] == "Undangan Anda ke Köln & Friends"
    assert text(message).startswith("Halo Budi,\n\nolivia mengundang Anda")
    assert "Undangan dibuka pada 2 Desember 2026, 12:00 UTC." in text(message)
    assert '<html lang="id">' in text(message, "html")


def test_a_batch_speaks_its_own_language_and_words(olivia: Account) -> None:
    batch_of(olivia, "ana@example.org", language="id", subject="Datanglah", message="{name}!")
    message = sent()
    assert message["Subject"] == "Datanglah"
    assert text(message).startswith("ana@example.org!\n\nKode Anda: ")
    assert message["Precedence"] == "bulk"


def test_own_words_are_text_and_never_a_program(olivia: Account) -> None:  # case 55
    words = "Hi {name}, {{7*7}} {0.__class__} {nothing} <script>alert(1)</script>"
    mailed(olivia, subject=words, message=words, recipient_name="<b>{code}</b>")
    message = sent()
    expected = words.replace("{name}", "<b>{code}</b>")
    assert message["Subject"] == expected
    assert text(message).startswith(expected)
    assert "<script>" not in text(message, "html")
    assert "&lt;b&gt;{code}&lt;/b&gt;" in text(message, "html")


def test_a_subject_with_a_line_break_is_refused(olivia: Account) -> None:  # case 54
    with pytest.raises(BadInput):
        mailed(olivia, subject="Hello\r\nBcc: everybody@example.org")


def test_a_name_with_a_line_break_adds_no_header(olivia: Account) -> None:  # case 54
    mailed(olivia, subject="For {name}", recipient_name="Ana\r\nBcc: everybody@example.org")
    message = sent()
    assert message["Subject"] == "For Ana Bcc: everybody@example.org"
    assert message["Bcc"] is None


def test_a_long_subject_in_any_script_comes_through(olivia: Account) -> None:
    subject = "Приглашение для вас " * 9
    mailed(olivia, subject=subject)
    assert sent()["Subject"] == subject.strip()


def test_a_mail_asks_for_no_answer_and_offers_a_way_out(olivia: Account) -> None:
    invitation = mailed(olivia)
    message = sent()
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Unsubscribe"] == f"<{unsubscribe.url(invitation.id)}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert unsubscribe.url(invitation.id) in text(message)


def test_a_reminder_holds_the_code_again(olivia: Account) -> None:
    invitation = mailed(olivia, expires_at=NOW + timedelta(days=2), message="Our own words.")
    message = sent("reminder")
    assert message["Subject"] == "Your invitation to Köln & Friends ends soon"
    assert "It ends on 23 November 2026, 12:00 UTC." in text(message)
    assert code_of(invitation) in text(message)


def test_the_end_is_told_without_a_code(olivia: Account) -> None:
    invitation = mailed(olivia, expires_at=NOW + timedelta(days=2))
    message = sent("expired")
    assert "ask olivia for a new one" in text(message)
    for body in (text(message), text(message, "html")):
        assert code_of(invitation) not in body


def test_looking_at_many_mails_asks_the_database_once(olivia: Account) -> None:
    batch_of(olivia, *(f"guest{number}@example.org" for number in range(5)))
    mails = outbox.latest(10)
    db.session.expunge_all()
    assert len(invitation_mail.matters(mails)) == 5
