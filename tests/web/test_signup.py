"""Members sign up on the pages, and confirm their e-mail by code or link."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from portal.clock import utcnow
from portal.extensions import db
from portal.mail import delivery
from portal.models import Account, Mail, Redemption, Role, Verification
from tests import factories
from tests.factories import PASSWORD
from tests.pages import PageClient, without_secrets, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]

EMAIL = "mia@example.org"


@pytest.fixture
def mailed(app: Flask) -> Callable[..., tuple[str, str]]:
    """Looks into a mailbox: the code and the link's token of the last mail."""

    def look(email: str = EMAIL) -> tuple[str, str]:
        with app.app_context():
            return factories.sent_to(email)

    return look


Mailed = Callable[..., tuple[str, str]]


def sign_up(browser: PageClient, email: str = EMAIL, **fields: str) -> TestResponse:
    """Send the form."""
    return browser.submit("/signup", {"email": email, "password": PASSWORD} | fields)


def confirm(browser: PageClient, code: str, identity: str = EMAIL) -> TestResponse:
    """Enter the mailed code."""
    return browser.submit("/activation", {"identity": identity, "code": code})


def sign_in(browser: PageClient, identity: str = EMAIL) -> TestResponse:
    """Sign in with the password everybody has."""
    return browser.submit("/login", {"identity": identity, "password": PASSWORD})


def test_whoever_signs_up_and_enters_the_code_has_an_account(
    client: PageClient, mailed: Mailed
) -> None:
    answer = sign_up(client)
    assert (answer.status_code, answer.location) == (303, "/activation")
    page = client.page("/activation")
    assert EMAIL in page.words
    assert page.fields["identity"] == EMAIL

    assert confirm(client, mailed()[0].lower()).location == "/login"
    assert "Your e-mail is confirmed." in client.page("/login").words

    assert sign_in(client).location == "/account"
    assert EMAIL in client.page("/account").words


def test_before_the_email_is_confirmed_nobody_is_let_in(client: PageClient) -> None:
    sign_up(client)

    answer = sign_in(client)

    assert answer.status_code == 422
    assert "Please confirm your e-mail first" in words(answer)
    assert client.get("/account").status_code == 303


# case 43
def test_a_link_shows_a_button_and_changes_nothing_by_itself(
    client: PageClient, newcomer: Newcomer, mailed: Mailed, ask: Ask
) -> None:
    sign_up(client)
    url = f"/activation/{mailed()[1]}"

    for method in ("get", "get", "head", "options"):
        assert getattr(newcomer(), method)(url).status_code == 200
    assert ask(sa.select(Account.confirmed_at)) == [None]
    assert ask(sa.select(Verification.used_at)) == [None]

    phone = newcomer()
    assert phone.submit(url).location == "/login"
    assert ask(sa.select(Account.confirmed_at.is_not(None))) == [True]
    assert "Your e-mail is confirmed already." in phone.page(url).words
    assert phone.submit(url).status_code == 422


def test_an_old_link_offers_a_new_one(
    client: PageClient, mailed: Mailed, ask: Ask, app: Flask
) -> None:
    sign_up(client)
    url = f"/activation/{mailed()[1]}"
    with app.app_context():
        db.session.execute(sa.update(Verification).values(expires_at=utcnow()))
        db.session.commit()

    assert "We can send you a new one." in client.page(url).words
    assert client.submit(f"{url}/mail").location == "/activation"

    assert ask(sa.select(Mail.kind)) == ["activation", "activation"]
    assert client.submit(f"/activation/{mailed()[1]}").status_code == 303


# case 5
@pytest.mark.parametrize("typed", [EMAIL, "MIA@example.org"])
def test_a_known_address_is_answered_as_an_unknown_one(
    newcomer: Newcomer, mailed: Mailed, ask: Ask, typed: str
) -> None:
    member = newcomer()
    sign_up(member)
    confirm(member, mailed()[0])
    for path, form in {
        "/signup": {"password": PASSWORD},
        "/activation/mail": {},
        "/reset": {},
    }.items():
        pages = []
        for name in (typed, "new@example.org"):
            browser = newcomer()
            answer = browser.submit(path, {"email": name, "identity": name} | form)
            shown = browser.get(answer.location)
            page = without_secrets(shown, name).replace(name, "")
            pages.append((answer.status_code, answer.location, answer.text, page))
        assert pages[0] == pages[1], path

    to_mia = ask(sa.select(Mail.kind).where(Mail.recipient == EMAIL).order_by(Mail.id))
    assert to_mia == ["activation", "account_exists", "reset"]


# case 61
def test_nobody_chooses_a_role_or_confirms_themselves(client: PageClient, ask: Ask) -> None:
    sign_up(client, role="owner", confirmed_at="2026-01-01", verified="1", serial="1000")

    assert ask(sa.select(Account.role)) == [Role.MEMBER]
    assert ask(sa.select(Account.confirmed_at)) == [None]
    assert ask(sa.select(Account.serial)) == [1]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"email": "nobody"}, "This is not an e-mail address."),
        ({"email": "a@x.org,b@y.org"}, "This is not an e-mail address."),  # case 42
        ({"email": "a@x.org\r\nBcc: b@y.org"}, "This is not an e-mail address."),
        ({"password": "short"}, "at least 8 characters"),
        ({"password": "password1"}, "most common"),
        ({"password": "x" * 500_000}, "longer than 256"),  # case 69
        ({"code": "nonsense"}, "We don't know this code."),
    ],
)
def test_what_cannot_be_is_said_and_can_be_corrected(
    client: PageClient, ask: Ask, changes: dict[str, str], sentence: str
) -> None:
    answer = client.submit("/signup", {"email": EMAIL, "password": PASSWORD} | changes)

    assert answer.status_code == 422
    assert sentence in words(answer)
    assert ask(sa.select(Account)) == []


def test_several_codes_in_one_form_are_refused(client: PageClient) -> None:
    fields = {"email": EMAIL, "password": PASSWORD, "code": ["K7QM-4TXB-9RWD", "K7QM4TXB9RWD"]}
    assert client.submit("/signup", fields).status_code == 400  # case 14
    fields = {"identity": EMAIL, "code": ["AAAAAAAA", "BBBBBBBB"]}
    assert client.submit("/activation", fields).status_code == 400


# case 42
@pytest.mark.parametrize("path", ["/signup", "/reset", "/login", "/activation", "/activation/mail"])
def test_several_names_in_one_form_are_refused(client: PageClient, path: str) -> None:
    two = [EMAIL, "eve@example.org"]
    fields = {"email": two, "identity": two, "password": PASSWORD, "code": "AAAAAAAA"}
    assert client.submit(path, fields).status_code == 400


def test_mails_carry_the_language_of_the_browser(client: PageClient, ask: Ask) -> None:
    client.submit(
        "/signup",
        {"email": EMAIL, "password": PASSWORD},
        headers={"Accept-Language": "id-ID,id;q=0.9,en;q=0.5"},
    )

    assert ask(sa.select(Account.language)) == ["id"]


@pytest.mark.parametrize("settings_changes", [{"member_registration": "closed"}])
def test_where_it_is_closed_nobody_signs_up(client: PageClient, ask: Ask) -> None:
    assert "Nobody can sign up" in client.page("/signup").words
    assert "Sign up" not in client.page("/login").links

    assert sign_up(client).status_code == 403
    assert ask(sa.select(Account)) == []


@pytest.mark.parametrize("settings_changes", [{"member_registration": "invite"}])
class TestByInvitation:
    def test_a_code_is_asked_for(self, client: PageClient) -> None:
        assert "code" in client.page("/signup").fields
        assert sign_up(client).status_code == 403

    def test_a_code_is_used_up_by_signing_up(
        self, client: PageClient, issue: Issue, ask: Ask
    ) -> None:
        issued = issue()
        page = client.page(f"/signup?code={issued.code}")
        assert page.fields["code"] == issued.code

        assert sign_up(client, code=issued.code.lower()).status_code == 303

        mia = sa.select(Account.id).where(Account.email == EMAIL)
        assert ask(sa.select(Redemption.account_id)) == ask(mia)

    def test_three_wrong_codes_lock_the_device(self, client: PageClient) -> None:
        assert [sign_up(client, code="nonsense").status_code for _ in range(3)] == [422, 422, 429]


def test_wrong_codes_are_refused_and_a_new_code_is_offered(
    client: PageClient, mailed: Mailed
) -> None:
    sign_up(client)

    answer = confirm(client, "WRONG123")
    assert answer.status_code == 422
    assert "This code is not right" in words(answer)

    first = mailed()[0]
    client.submit("/activation/mail", {"identity": EMAIL})
    assert mailed()[0] != first
    assert confirm(client, mailed()[0]).status_code == 303


# case 41
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host", "Forwarded"])
def test_no_header_changes_where_mails_lead(
    app: Flask, client: PageClient, mailed: Mailed, header: str
) -> None:
    token = client.token()
    answer = client.post(
        "/signup",
        data={"email": EMAIL, "password": PASSWORD, "csrf_token": token},
        headers={header: "host=evil.example" if header == "Forwarded" else "evil.example"},
    )

    if header == "Host":
        assert answer.status_code == 400
        return
    with app.app_context():
        [mail] = db.session.scalars(sa.select(Mail))
        message = delivery.render(mail, delivery.matters([mail])[mail.id])
    assert "evil" not in (message.body or "") + (message.html or "")
    assert "http://localhost/activation/" in (message.body or "")
