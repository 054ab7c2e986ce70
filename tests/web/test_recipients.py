"""Bound invitations on the pages, in a portal that can send mail."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from portal.domain.invitations import recipient_verification
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, EmailProof, Mail, Redemption, Role
from tests import factories
from tests.factories import PASSWORD
from tests.pages import Page, PageClient, without_secrets, words
from tests.web.conftest import Issue, Issued

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]

ADA = "ada@example.org"
PERSONAL = "If it was made for that address, we have sent a code there"


@pytest.fixture
def settings_changes() -> dict[str, object]:
    """A portal that can send mail."""
    return {"mail_url": "smtp://127.0.0.1:9"}


@pytest.fixture
def mailed(app: Flask) -> Callable[[], str]:
    """Looks into Ada's mailbox: the last code."""

    def look() -> str:
        with app.app_context():
            return factories.sent_to(ADA)[0]

    return look


@pytest.fixture
def proof(app: Flask) -> Callable[[Issued], str]:
    """What the link in Ada's mail holds beside the code."""

    def of(issued: Issued) -> str:
        with app.app_context():
            return recipient_verification.of_link(issued.id, ADA)

    return of


def redeem(browser: PageClient, issued: Issued, **fields: str) -> TestResponse:
    """Send the form of the landing page."""
    return browser.submit("/", {"code": issued.code} | fields)


# case 88
def test_a_typed_address_leads_to_a_field_for_the_code_that_is_mailed_there(
    client: PageClient, issue: Issue, mailed: Callable[[], str], ask: Ask
) -> None:
    issued = issue(recipient=ADA)

    answer = redeem(client, issued, email=ADA)

    assert answer.status_code == 422
    assert PERSONAL in words(answer)
    assert Page(answer.text).fields["email"] == ADA
    assert Page(answer.text).fields["mailed_code"] == ""
    code = mailed()
    assert redeem(client, issued, email=ADA, mailed_code=code.lower()).location == "/welcome"
    assert ask(sa.select(Redemption.email)) == [ADA]


# case 88
def test_nobody_learns_for_which_address_an_invitation_was_made(
    newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:
    issued = issue(recipient=ADA)
    pages = []
    for email in (ADA, "eve@example.org"):
        for fields in ({}, {"mailed_code": "00000000"}):
            answer = redeem(newcomer(), issued, email=email, **fields)
            assert answer.status_code == 422
            pages.append(without_secrets(answer, email))

    assert pages[:2] == pages[2:]
    assert ask(sa.select(Mail.recipient)) == [ADA]


def test_a_wrong_code_from_the_mail_says_so_and_keeps_its_field(
    client: PageClient, issue: Issue
) -> None:
    issued = issue(recipient=ADA)
    redeem(client, issued, email=ADA)

    answer = redeem(client, issued, email=ADA, mailed_code="00000000")

    assert "The code from the mail is not right" in words(answer)
    assert "mailed_code" in Page(answer.text).fields
    assert "left before this device" not in words(answer)


def test_the_fields_stay_while_the_code_is_typed_again(client: PageClient, issue: Issue) -> None:
    typed = {"code": issue(recipient=ADA).code, "email": ADA, "mailed_code": "K7QM"}

    answer = client.submit("/validation", typed, headers={"HX-Request": "true"})

    fields = Page(answer.text).fields
    assert (fields["email"], fields["mailed_code"]) == (ADA, "K7QM")
    assert "We send a code there" in words(answer)


# case 88
def test_the_mailed_link_asks_for_no_address(
    client: PageClient, issue: Issue, proof: Callable[[Issued], str], ask: Ask
) -> None:
    issued = issue(recipient=ADA)

    page = client.page(f"/?code={issued.code}&proof={proof(issued)}")

    assert "It was made for you: press Continue." in page.words
    assert "email" not in page.fields
    answer = redeem(client, issued, proof=page.fields["proof"])
    assert answer.location == "/welcome"
    assert ask(sa.select(Redemption.email)) == [ADA]


def test_a_link_of_a_mail_from_before_asks_for_the_address(
    client: PageClient, issue: Issue
) -> None:
    page = client.page(f"/?code={issue(recipient=ADA).code}")

    assert "email" in page.fields
    assert "proof" not in page.fields


# case 88
def test_a_proof_of_another_invitation_is_none(
    client: PageClient, issue: Issue, proof: Callable[[Issued], str]
) -> None:
    issued, other = issue(recipient=ADA), issue(recipient=ADA)

    page = client.page(f"/?code={issued.code}&proof={proof(other)}")

    assert "email" in page.fields
    assert redeem(client, issued, proof=proof(other)).status_code == 422


# case 88
def test_whoever_is_signed_in_with_a_proven_email_is_asked_for_nothing(
    mia: PageClient, issue: Issue, ask: Ask
) -> None:
    issued = issue(recipient="@example.org")

    page = mia.page(f"/?code={issued.code}")

    assert "It was made for you" in page.words
    assert redeem(mia, issued).location == "/welcome"
    assert ask(sa.select(Redemption.email)) == ["mia@example.org"]


def test_an_address_in_special_letters_is_refused_with_the_reason(
    client: PageClient, issue: Issue
) -> None:  # case 95
    answer = redeem(client, issue(recipient=ADA), email="ﬁ@example.org")

    assert answer.status_code == 422
    assert "Type it with plain letters." in words(answer)


@pytest.mark.parametrize(
    ("settings_changes", "landing", "issuing"),
    [
        ({"mail_url": ""}, "Nobody checks here", "what they type proves nothing"),
        (
            {"mail_url": "smtp://127.0.0.1:9", "recipient_proof": "typed"},
            "Nobody checks here",
            "what they type proves nothing",
        ),
        ({"mail_url": "smtp://127.0.0.1:9"}, "We send a code there", "by a code we mail them"),
    ],
)
def test_the_pages_say_what_a_typed_address_is_worth(
    olivia: PageClient, client: PageClient, issue: Issue, landing: str, issuing: str
) -> None:
    assert landing in client.page(f"/?code={issue(recipient=ADA).code}").words
    assert issuing in olivia.page("/admin/invitations/new").words


# --- Staff codes ---


def register(browser: PageClient, issued: Issued, **fields: str) -> TestResponse:
    """Send the form for new staff."""
    form = {
        "email": ADA,
        "username": "ada",
        "password": PASSWORD,
        "confirmation": PASSWORD,
        "code": issued.code,
    }
    return browser.submit("/register", form | fields)


# case 88
def test_a_bound_staff_code_asks_for_the_code_from_the_mail(
    client: PageClient, issue: Issue, mailed: Callable[[], str], ask: Ask
) -> None:
    issued = issue(recipient=ADA, grants_role=Role.ADMIN)

    answer = register(client, issued)

    assert answer.status_code == 422
    assert PERSONAL in words(answer)
    assert "mailed_code" in Page(answer.text).fields
    assert register(client, issued, mailed_code=mailed()).location == "/admin/"
    found = sa.select(Account.email_proof).where(Account.email == ADA)
    assert ask(found) == [EmailProof.MAIL]


def test_the_mailed_link_leads_staff_to_the_registration_with_its_proof(
    client: PageClient, issue: Issue, proof: Callable[[Issued], str]
) -> None:
    issued = issue(recipient=ADA, grants_role=Role.ADMIN)
    answer = redeem(client, issued, proof=proof(issued))

    page = client.page(Page(answer.text).links["Register as staff"])

    assert page.fields["proof"] == proof(issued)
    assert register(client, issued, proof=page.fields["proof"]).status_code == 303


# --- What the account and people pages say of an e-mail ---


def test_staff_confirm_their_email_on_the_account_page(
    client: PageClient, olivia: PageClient, issue: Issue, mailed: Callable[[], str]
) -> None:
    register(client, issue(grants_role=Role.ADMIN))
    assert f"Nobody knows yet that {ADA} is yours." in client.page("/account").words

    answer = client.submit("/account/email/proof")

    assert answer.location == "/activation"
    confirmed = client.submit("/activation", {"identity": ADA, "code": mailed()})
    assert confirmed.location == "/account"
    assert "Nobody knows yet" not in client.page("/account").words


def test_the_people_page_says_how_an_email_is_known(
    app: Flask, client: PageClient, olivia: PageClient, issue: Issue, mailed: Callable[[], str]
) -> None:
    register(client, issue(grants_role=Role.ADMIN))
    with app.app_context():
        people = dict(db.session.execute(sa.select(Account.username, Account.id)).all())

    assert f"{ADA} not confirmed" in olivia.page(f"/admin/people/{people['ada']}").words
    assert "made on the command line" in olivia.page(f"/admin/people/{people['olivia']}").words
    client.submit("/activation", {"identity": ADA, "code": mailed()})
    assert f"{ADA} confirmed by mail" in olivia.page(f"/admin/people/{people['ada']}").words


# case 88
def test_the_outbox_shows_staff_no_link_that_proves_an_address(
    app: Flask, olivia: PageClient, issue: Issue, proof: Callable[[Issued], str]
) -> None:
    issued = issue(recipient=ADA)
    with app.app_context():
        mail = outbox.queue("invitation", to=ADA, about=issued.id, now=factories.NOW)
        db.session.commit()
        page = f"/admin/mails/{mail.id}"

    assert proof(issued) not in olivia.get(page).text
