"""A new password for whoever forgot theirs."""

from collections.abc import Callable

import pytest
from flask import Flask

from portal.clock import utcnow
from tests import factories
from tests.factories import PASSWORD
from tests.pages import PageClient, words

EMAIL = "mia@example.org"
NEW = "a new battery staple"
Newcomer = Callable[[], PageClient]


@pytest.fixture
def mailed(app: Flask) -> Callable[[], str]:
    """Looks into Mia's mailbox: the code of the last mail."""

    def look() -> str:
        with app.app_context():
            return factories.sent_to(EMAIL)[0]

    return look


Mailed = Callable[[], str]


def set_password(
    browser: PageClient, code: str, password: str = NEW, identity: str = EMAIL
) -> object:
    """Send the code and the new password."""
    fields = {"identity": identity, "code": code, "password": password}
    return browser.submit("/reset/code", fields)


def test_a_mailed_code_sets_a_new_password_and_ends_every_session(
    mia: PageClient, newcomer: Newcomer, mailed: Mailed
) -> None:
    browser = newcomer()
    assert browser.submit("/reset", {"identity": "mia"}).location == "/reset/code"
    assert browser.page("/reset/code").fields["identity"] == "mia"

    assert set_password(browser, mailed(), identity="mia").location == "/login"

    assert "Your new password is set" in browser.page("/login").words
    assert mia.get("/account").status_code == 303  # case 29
    signed_in = browser.submit("/login", {"identity": EMAIL, "password": NEW})
    assert signed_in.location == "/account"
    before = newcomer().submit("/login", {"identity": EMAIL, "password": PASSWORD})
    assert before.status_code == 422


# case 44
def test_after_five_wrong_codes_the_right_one_is_refused_but_signing_in_is_not(
    app: Flask, newcomer: Newcomer, mailed: Mailed
) -> None:
    with app.app_context():
        factories.member("mia", utcnow())
    browser = newcomer()
    browser.submit("/reset", {"identity": EMAIL})
    answers = [set_password(browser, "WRONG123") for _ in range(5)]

    sixth = set_password(browser, mailed())

    assert {answer.status_code for answer in [*answers, sixth]} == {422}
    assert words(sixth) == words(answers[0])
    fields = {"identity": EMAIL, "password": PASSWORD}
    assert browser.submit("/login", fields).location == "/account"


# case 45
def test_the_code_of_somebody_else_is_refused(
    app: Flask, newcomer: Newcomer, mailed: Mailed
) -> None:
    with app.app_context():
        factories.member("mia", utcnow())
        factories.member("ana", utcnow())
    browser = newcomer()
    browser.submit("/reset", {"identity": EMAIL})

    answer = set_password(browser, mailed(), identity="ana@example.org")

    assert answer.status_code == 422
    assert set_password(browser, mailed()).status_code == 303


def test_a_weak_password_leaves_the_code_good(mia: PageClient, mailed: Mailed) -> None:
    mia.submit("/reset", {"identity": EMAIL})

    assert "at least 8 characters" in words(set_password(mia, mailed(), password="short"))
    assert set_password(mia, mailed()).status_code == 303


def test_nothing_is_said_about_a_name_nobody_has(client: PageClient, mia: PageClient) -> None:
    known = set_password(client, "WRONG123")
    unknown = set_password(client, "WRONG123", identity="not@example.org")

    assert known.status_code == unknown.status_code == 422
    assert words(known) == words(unknown)
