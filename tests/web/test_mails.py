"""The outbox, as the owner sees it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import password_reset
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import AuditEvent, Mail
from tests import factories
from tests.pages import PageClient, words
from tests.web.conftest import Issue, Issued

Ask = Callable[[sa.Select[Any]], list[Any]]

CODE = re.compile(r"p\W*r\W*e\W*s\W*s(\W|2d)*2\W*[0o]\W*3\W*[0o]", re.IGNORECASE)


@pytest.fixture
def queue(app: Flask) -> Callable[[Issued], str]:
    """Writes a mail about an invitation, and says where it is read."""

    def queue(issued: Issued) -> str:
        with app.app_context():
            mail = outbox.queue("invitation", to="ada@x.org", about=issued.id, now=utcnow())
            outbox.failed(mail, "550 no such mailbox", now=utcnow(), for_good=True)
            return f"/admin/mails/{mail.id}"

    return queue


def test_an_empty_outbox_says_what_to_do(olivia: PageClient) -> None:
    page = olivia.page("/admin/mails")
    assert "No mail yet." in page.words
    assert "No mail server is set (MAIL_URL)." in page.words


@pytest.mark.parametrize("settings_changes", [{"mail_url": "smtp://127.0.0.1:9"}])
def test_a_portal_with_a_mail_server_says_nothing_of_one(olivia: PageClient) -> None:
    assert "No mail server is set" not in olivia.page("/admin/mails").words


def test_the_owner_reads_a_mail_as_it_would_be_sent(
    olivia: PageClient, issue: Issue, queue: Callable[[Issued], str]
) -> None:
    issued = issue(label="Party", recipient="ada@x.org")
    shown = words(olivia.submit(f"{queue(issued)}/code"))
    assert issued.code in shown
    assert f"http://localhost/?code={issued.code}" in shown
    assert "550 no such mailbox" in shown


# case 96
def test_a_look_at_a_mail_shows_no_code_and_writes_nothing_down(
    olivia: PageClient, issue: Issue, queue: Callable[[Issued], str], ask: Ask
) -> None:
    issued = issue(label="Party", recipient="ada@x.org")
    page = olivia.page(queue(issued))
    assert issued.code not in page.words
    assert "http://localhost/?code=****-****-****" in page.words
    assert "Show the code" in page.words
    assert "invitation.code_shown" not in ask(sa.select(AuditEvent.action))


# case 96
def test_that_the_code_of_a_mail_was_shown_is_written_down(
    olivia: PageClient, issue: Issue, queue: Callable[[Issued], str], ask: Ask
) -> None:
    issued = issue(recipient="ada@x.org")
    url = queue(issued)
    olivia.submit(f"{url}/code")
    shown = sa.select(AuditEvent).where(AuditEvent.action == "invitation.code_shown")
    [event] = ask(shown)
    assert event.subject_id == issued.id
    assert event.details == {"mail": url.rpartition("/")[2]}
    assert "Code shown" in olivia.page(issued.page).words


# case 96
@pytest.mark.parametrize(
    "written",
    [
        "Your code is PRESS-2030!",
        "press 2030, http://x.org/?code=press%2d2030",
        "P R E S S 2 0 3 0",
        "PRESS2O3O, with letters for digits",
    ],
)
def test_a_code_that_staff_wrote_into_a_mail_is_masked_too(
    olivia: PageClient, written: str, ask: Ask
) -> None:
    fields = {"validity": "never", "uses": "one", "grants_role": "", "own_code": "press-2030"}
    mailed = {"recipient": "ada@x.org", "mailed": "y", "subject": "PRESS-2030", "message": written}
    assert olivia.submit("/admin/invitations", fields | mailed).status_code == 303
    [mail] = ask(sa.select(Mail.id))

    page = olivia.page(f"/admin/mails/{mail}")

    assert not CODE.search(page.words)
    assert page.words.count("****-****-****") >= 4
    assert written.split(maxsplit=1)[0] in words(olivia.submit(f"/admin/mails/{mail}/code"))


@pytest.fixture
def reset(app: Flask) -> Callable[[], tuple[str, str]]:
    """Has another owner ask for a new password; says where that mail is, and its code."""

    def reset() -> tuple[str, str]:
        with app.app_context():
            oscar = factories.owner(utcnow(), "oscar")
            password_reset.request(oscar.email, origin=factories.device(), now=utcnow())
            code, _ = factories.sent_to(oscar.email)
            mail = db.session.scalars(sa.select(Mail.id).where(Mail.kind == "reset")).one()
            return f"/admin/mails/{mail}", code

    return reset


# case 96
def test_without_a_mail_server_an_owner_hands_a_mailed_code_on_and_it_is_written_down(
    olivia: PageClient, reset: Callable[[], tuple[str, str]], ask: Ask
) -> None:
    url, code = reset()
    assert code not in olivia.page(url).words
    assert code in words(olivia.submit(f"{url}/code"))
    assert "mail.code_shown" in ask(sa.select(AuditEvent.action))


# case 96
@pytest.mark.parametrize("settings_changes", [{"mail_url": "smtp://127.0.0.1:9"}])
def test_with_a_mail_server_a_mailed_code_is_for_its_reader_alone(
    olivia: PageClient, reset: Callable[[], tuple[str, str]]
) -> None:
    url, code = reset()
    page = olivia.page(url)
    assert code not in page.words
    assert "Its code is for its reader alone." in page.words
    assert olivia.submit(f"{url}/code").status_code == 403


# case 96
def test_an_admin_reads_no_mailed_code(
    alice: PageClient, reset: Callable[[], tuple[str, str]]
) -> None:
    url, _ = reset()
    assert alice.get(url).status_code == 403
    assert alice.submit(f"{url}/code").status_code == 403


def test_a_failed_mail_can_be_sent_again(
    olivia: PageClient, issue: Issue, queue: Callable[[Issued], str]
) -> None:
    url = queue(issue(recipient="ada@x.org"))
    assert "Send again" in olivia.page("/admin/mails").words
    answer = olivia.submit(f"{url}/retry")
    assert (answer.status_code, answer.location) == (303, "/admin/mails")
    page = olivia.page("/admin/mails")
    assert "It will be sent again." in page.words
    assert "1 waiting" in page.words


def test_a_mail_links_to_our_own_address_whatever_host_was_asked(
    olivia: PageClient, issue: Issue, queue: Callable[[Issued], str]
) -> None:  # case 41
    url = queue(issue(recipient="ada@x.org"))
    page = olivia.page(url, headers={"X-Forwarded-Host": "evil.example"})
    assert "http://localhost/?code=" in page.words
    assert "evil.example" not in page.words
