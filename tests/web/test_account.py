"""What people see and change of their own account."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.models import Account, AuditEvent, Role, Session
from tests import factories
from tests.factories import PASSWORD
from tests.pages import Page, PageClient, words

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]
NEW = "a new battery staple"


def enter(browser: PageClient, password: str = PASSWORD, identity: str = "mia") -> PageClient:
    """Sign Mia in, in another browser."""
    answer = browser.submit("/login", {"identity": identity, "password": password})
    assert answer.status_code == 303
    return browser


@pytest.fixture
def mailed(app: Flask) -> Callable[[str], tuple[str, str]]:
    """Looks into a mailbox: the code and the link's token of the last mail."""

    def look(email: str) -> tuple[str, str]:
        with app.app_context():
            return factories.sent_to(email)

    return look


Mailed = Callable[[str], tuple[str, str]]


def test_members_land_on_their_account_and_staff_find_theirs(
    mia: PageClient, alice: PageClient
) -> None:
    assert "mia@example.org" in mia.page("/account").words
    assert alice.page("/admin/").links["Account of alice"] == "/account"
    assert "alice@example.org" in alice.page("/account").words


def test_a_profile_is_changed(mia: PageClient, ask: Ask) -> None:
    fields = {
        "username": "mia.sari",
        "first_name": "Mia",
        "last_name": "<b>Sari</b>",
        "phone": "0812 3456 7890",
        "language": "id",
    }

    assert mia.submit("/account/profile", fields).location == "/account"

    page = mia.page("/account")
    for shown in ("Mia <b>Sari</b>", "mia.sari", "+62 812-3456-7890", "Bahasa Indonesia"):
        assert shown in page.words
    assert mia.page("/account/profile").fields["phone"] == "+6281234567890"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"phone": "12"}, "This is not a telephone number."),
        ({"username": "a b"}, "A username has up to 32 letters"),
        ({"username": "ALICE"}, "Somebody else has this username."),
        ({"first_name": "x" * 81}, "longer than 80"),
        ({"first_name": "a\nb"}, "one line"),
        ({"language": "xx"}, "Not a valid choice"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    mia: PageClient, alice: PageClient, ask: Ask, changes: dict[str, str], sentence: str
) -> None:
    answer = mia.submit("/account/profile", {"username": "mia", "language": "en"} | changes)

    assert answer.status_code == 422
    assert sentence in words(answer)
    assert ask(sa.select(Account.first_name).where(Account.username == "mia")) == [""]


# case 61
def test_nobody_promotes_themselves(mia: PageClient, ask: Ask) -> None:
    fields = {"username": "mia", "language": "en", "role": "owner", "email": "x@example.org"}

    mia.submit("/account/profile", fields | {"confirmed_at": "", "serial": "77"})

    [account] = ask(sa.select(Account).where(Account.username == "mia"))
    assert (account.role, account.email) == (Role.MEMBER, "mia@example.org")
    assert account.serial != 77
    assert "profile.changed" in ask(sa.select(AuditEvent.action))


# case 29
def test_a_new_password_signs_out_everywhere_else(mia: PageClient, newcomer: Newcomer) -> None:
    phone = enter(newcomer())

    answer = mia.submit("/account/password", {"current_password": PASSWORD, "password": NEW})

    assert answer.location == "/account"
    assert mia.get("/account").status_code == 200
    assert phone.get("/account").status_code == 303
    enter(newcomer(), NEW)


def test_a_new_password_needs_the_one_before(mia: PageClient) -> None:
    answer = mia.submit("/account/password", {"current_password": "wrong", "password": NEW})

    assert answer.status_code == 422
    assert "Your password is not right." in words(answer)


# case 86
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/account/password", {"password": NEW}),
        ("/account/email", {"email": "mia@new.example.org"}),
        ("/account/deletion", {}),
    ],
)
def test_ten_wrong_passwords_end_the_session_and_lead_to_the_sign_in(
    mia: PageClient, newcomer: Newcomer, ask: Ask, path: str, more: dict[str, str]
) -> None:
    for _ in range(9):
        mia.delete_cookie("device")
        answer = mia.submit(path, {"current_password": "wrong"} | more)
        assert answer.status_code == 422
    mia.delete_cookie("device")
    answer = mia.submit(path, {"current_password": "wrong"} | more)

    assert (answer.status_code, answer.location) == (303, "/login")
    assert "Too many wrong passwords: you are signed out here." in mia.page("/login").words
    assert mia.get("/account").status_code == 303
    assert "session.guessed_in" in ask(sa.select(AuditEvent.action))
    enter(newcomer())


# case 28
def test_signing_in_gives_a_new_session_and_ends_the_old(mia: PageClient, ask: Ask) -> None:
    with mia.session_transaction() as cookie:
        before = cookie["_user_id"]

    enter(mia)

    with mia.session_transaction() as cookie:
        assert cookie["_user_id"] != before
    living = ask(sa.select(Session.id).where(Session.revoked_at.is_(None)))
    assert before not in [str(session) for session in living]


def test_a_new_email_is_taken_by_the_mailed_code(mia: PageClient, mailed: Mailed) -> None:
    fields = {"email": "Mia@New.example.org", "current_password": PASSWORD}
    assert mia.submit("/account/email", fields).location == "/account/email/confirmation"
    assert "We sent a code to mia@new.example.org." in mia.page("/account/email/confirmation").words
    assert "mia@example.org" in mia.page("/account").words

    code, _ = mailed("mia@new.example.org")
    assert mia.submit("/account/email/confirmation", {"code": code}).location == "/account"

    assert "mia@new.example.org" in mia.page("/account").words


# case 43
def test_the_mailed_link_takes_it_by_its_button_alone(
    mia: PageClient, newcomer: Newcomer, mailed: Mailed, ask: Ask
) -> None:
    mia.submit("/account/email", {"email": "mia@new.example.org", "current_password": PASSWORD})
    url = f"/account/email/{mailed('mia@new.example.org')[1]}"
    phone = newcomer()

    assert "mia@new.example.org" in phone.page(url).words
    assert "mia@example.org" in ask(sa.select(Account.email))

    assert phone.submit(url).status_code == 303
    assert "mia@new.example.org" in ask(sa.select(Account.email))
    assert "It was used already" in phone.page(url).words


# case 5
def test_an_email_somebody_has_is_answered_alike(mia: PageClient, alice: PageClient) -> None:
    answers = [
        mia.submit("/account/email", {"email": email, "current_password": PASSWORD})
        for email in ("alice@example.org", "free@example.org")
    ]

    assert [answer.location for answer in answers] == ["/account/email/confirmation"] * 2


def test_people_see_where_they_are_signed_in_and_sign_out_there(
    mia: PageClient, newcomer: Newcomer, ask: Ask
) -> None:
    phone = enter(newcomer())
    assert "2 places" in mia.page("/account").words
    answer = mia.get("/account/sessions")
    assert words(answer).count("127.0.0.1") >= 2
    with phone.session_transaction() as cookie:
        there = cookie["_user_id"]

    assert mia.submit(f"/account/sessions/{there}/closure").location == "/account/sessions"

    assert phone.get("/account").status_code == 303
    assert mia.get("/account").status_code == 200


def test_signing_out_here_leads_to_the_sign_in(mia: PageClient) -> None:
    with mia.session_transaction() as cookie:
        here = cookie["_user_id"]

    assert mia.submit(f"/account/sessions/{here}/closure").location == "/login"
    assert mia.get("/account").status_code == 303


def test_people_sign_out_everywhere_else(mia: PageClient, newcomer: Newcomer) -> None:
    others = [enter(newcomer()) for _ in range(2)]

    mia.submit("/account/sessions/closure")

    assert [other.get("/account").status_code for other in others] == [303, 303]
    assert "1 place" in mia.page("/account").words


def test_the_session_of_somebody_else_is_not_there(mia: PageClient, alice: PageClient) -> None:
    with alice.session_transaction() as cookie:
        hers = cookie["_user_id"]

    assert mia.submit(f"/account/sessions/{hers}/closure").status_code == 404
    assert alice.get("/account").status_code == 200


def test_people_take_their_data_along(mia: PageClient, ask: Ask) -> None:
    answer = mia.submit("/account/export")

    assert answer.headers["Content-Disposition"] == "attachment; filename=my-data.zip"
    rows = json.loads(ZipFile(BytesIO(answer.data)).read("my-data.json"))
    assert rows["account"][0]["email"] == "mia@example.org"
    assert "data.exported" in ask(sa.select(AuditEvent.action))


# case 80
def test_people_delete_their_account_with_their_password(
    mia: PageClient, newcomer: Newcomer, ask: Ask
) -> None:
    phone = enter(newcomer())
    assert mia.submit("/account/deletion", {"current_password": "wrong"}).status_code == 422

    answer = mia.submit("/account/deletion", {"current_password": PASSWORD})

    assert answer.location == "/"
    assert "Your account is deleted." in mia.page("/").words
    assert phone.get("/account").status_code == 303
    assert ask(sa.select(Account).where(Account.email == "mia@example.org")) == []
    refused = newcomer().submit("/login", {"identity": "mia", "password": PASSWORD})
    assert refused.status_code == 422


def test_the_only_owner_is_told_why_they_stay(olivia: PageClient) -> None:
    answer = olivia.submit("/account/deletion", {"current_password": PASSWORD})

    assert answer.status_code == 422
    assert "This is the only owner." in words(answer)
    assert Page(olivia.get("/account").text).title
