"""The outbox, as the owner sees it."""

from collections.abc import Callable

import pytest
from flask import Flask

from portal.clock import utcnow
from portal.domain import outbox
from tests.pages import PageClient
from tests.web.conftest import Issue, Issued


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
    page = olivia.page(queue(issued))
    assert issued.code in page.words
    assert f"http://localhost/?code={issued.code}" in page.words
    assert "550 no such mailbox" in page.words


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
