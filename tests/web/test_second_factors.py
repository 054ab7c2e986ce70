"""The second step on the pages: set up, taken at sign-in, asked of all staff, taken away."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.models import Account
from tests.authenticators import App, Authenticator, app_of
from tests.factories import PASSWORD
from tests.pages import Page, PageClient, words

SECURITY = "/account/security"
STEP = "/login/second-step"
CREDENTIALS = {"identity": "alice", "password": PASSWORD}

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]


def set_up(browser: PageClient) -> tuple[App, TestResponse]:
    """Set up an app by the pages; the answer shows the recovery codes."""
    assert browser.submit(f"{SECURITY}/app").location == f"{SECURITY}/app"
    html = browser.get(f"{SECURITY}/app").text
    secret = html.partition('id="secret">')[2].partition("<")[0].replace(" ", "").strip()
    app = App(secret)
    code = app.code(utcnow())
    return app, browser.submit(f"{SECURITY}/app/confirmation", {"code": code})


def codes_in(answer: TestResponse) -> list[str]:
    """The recovery codes of an answer."""
    return [line.partition("</li>")[0] for line in answer.text.split("<li>")[1:]]


def add_passkey(browser: PageClient, **fields: str) -> Authenticator:
    """Make a passkey in that browser."""
    phone = Authenticator()
    options = browser.get(f"{SECURITY}/passkeys/options").get_json()
    credential = {"credential": phone.create(options)}
    assert browser.submit(f"{SECURITY}/passkeys", credential | fields).status_code in {201, 303}
    return phone


def enter_by(phone: Authenticator, browser: PageClient, query: str = "") -> TestResponse:
    """Sign in by a passkey."""
    options = browser.get("/login/passkey/options").get_json()
    return browser.submit(f"/login/passkey{query}", {"credential": phone.get(options)})


@pytest.fixture
def protected(app: Flask, alice: PageClient) -> tuple[App, list[str]]:
    """Alice's app, and her recovery codes."""
    with app.app_context():
        account = accounts.find("alice")
        assert account is not None
        return app_of(account, utcnow())


# --- Setting up ---


def test_an_app_is_set_up_by_its_code(alice: PageClient) -> None:
    _, answer = set_up(alice)
    assert answer.status_code == 201
    assert len(codes_in(answer)) == 10
    assert "Signing in asks for the six digits" in alice.page(SECURITY).words
    assert "10 recovery codes left" in alice.page(SECURITY).words


def test_a_wrong_code_sets_nothing_up(alice: PageClient) -> None:
    alice.submit(f"{SECURITY}/app")
    answer = alice.submit(f"{SECURITY}/app/confirmation", {"code": "000000"})
    assert answer.status_code == 422
    assert "not right" in words(answer)
    assert "Set up an app" in alice.page(SECURITY).words


def test_the_secret_is_not_shown_once_it_is_confirmed(alice: PageClient) -> None:
    app, _ = set_up(alice)
    assert alice.get(f"{SECURITY}/app").location == SECURITY
    assert app.secret not in alice.get(SECURITY).text
    assert alice.submit(f"{SECURITY}/app").status_code == 403


def test_the_app_is_removed_and_the_recovery_codes_with_it(alice: PageClient) -> None:
    set_up(alice)
    assert alice.submit(f"{SECURITY}/app/removal").status_code == 303
    assert "recovery code" not in alice.page(SECURITY).words


def test_new_recovery_codes_are_shown_once(alice: PageClient) -> None:
    _, answer = set_up(alice)
    renewed = alice.submit(f"{SECURITY}/recovery-codes")
    assert renewed.status_code == 201
    assert set(codes_in(renewed)).isdisjoint(codes_in(answer))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_signed_in_long_ago_signs_in_again_before_changing_it(
    newcomer: Newcomer, alice: PageClient, method: str
) -> None:
    browser = newcomer()
    with time_machine.travel(utcnow(), tick=False) as clock:
        browser.submit("/login", CREDENTIALS)
        clock.shift(timedelta(minutes=16))
        url = SECURITY if method == "GET" else f"{SECURITY}/app"
        answer = browser.open(url, method=method, data={"csrf_token": browser.token()})
        assert (answer.status_code, answer.location) == (303, f"/login?next={SECURITY}")
        assert "sign in again first" in browser.page(answer.location).words
        assert browser.submit(answer.location, CREDENTIALS).location == SECURITY
        assert browser.get(SECURITY).status_code == 200


# --- Signing in ---


def test_the_second_step_leads_where_the_first_one_should(
    newcomer: Newcomer, protected: tuple[App, list[str]]
) -> None:
    browser = newcomer()
    target = "/admin/invitations?q=garden"
    login = browser.get(target).location
    first = browser.submit(login, CREDENTIALS)
    assert first.status_code == 303
    assert first.location.startswith(f"{STEP}?next=")
    assert browser.get("/admin/").status_code == 303
    code = protected[0].code(utcnow())
    assert browser.submit(first.location, {"code": code}).location == target
    assert browser.get("/admin/").status_code == 200


def test_the_second_step_leads_nobody_out_of_the_portal(
    newcomer: Newcomer, protected: tuple[App, list[str]]
) -> None:  # case 65
    browser = newcomer()
    browser.submit("/login?next=//evil.example", CREDENTIALS)
    code = protected[0].code(utcnow())
    answer = browser.submit(f"{STEP}?next=//evil.example", {"code": code})
    assert answer.location == "/admin/"


def test_a_recovery_code_takes_the_place_of_the_app(
    newcomer: Newcomer, protected: tuple[App, list[str]]
) -> None:
    browser = newcomer()
    browser.submit("/login", CREDENTIALS)
    fields = {"code": "", "recovery_code": protected[1][0]}
    assert browser.submit(STEP, fields).status_code == 303
    assert "9 recovery codes left" in browser.page(SECURITY).words


@pytest.mark.parametrize("code", ["", "000000"])
def test_a_wrong_second_step_is_422_and_leaves_nobody_signed_in(
    newcomer: Newcomer, protected: tuple[App, list[str]], code: str
) -> None:
    browser = newcomer()
    browser.submit("/login", CREDENTIALS)
    answer = browser.submit(STEP, {"code": code})
    assert answer.status_code == 422
    assert "was used before" in words(answer)
    assert browser.get("/admin/").status_code == 303


def test_ten_wrong_codes_are_enough(newcomer: Newcomer, protected: tuple[App, list[str]]) -> None:
    browser = newcomer()
    browser.submit("/login", CREDENTIALS)
    statuses = [browser.submit(STEP, {"code": "000000"}).status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]
    assert Page(browser.submit(STEP, {"code": "1"}).text).links["Try again"] == STEP


def test_nobody_sees_the_second_step_before_the_first(client: PageClient) -> None:
    assert client.get(STEP).location == "/login"
    assert client.submit(STEP, {"code": "000000"}).location == "/login"


def test_a_csrf_token_from_before_the_second_step_is_worth_nothing_after(
    newcomer: Newcomer, protected: tuple[App, list[str]]
) -> None:
    browser = newcomer()
    browser.submit("/login", CREDENTIALS)
    old = browser.token()
    browser.submit(STEP, {"code": protected[0].code(utcnow())})
    assert browser.post("/logout", data={"csrf_token": old}).status_code == 400


def test_the_invitations_api_refuses_the_password_alone(
    newcomer: Newcomer, protected: tuple[App, list[str]]
) -> None:
    credentials = {"email": "alice@example.org", "password": PASSWORD}
    answer = newcomer().post("/api/v1/admin/login", json=credentials)
    assert answer.status_code == 400
    assert "token" not in answer.text


# --- Passkeys ---


def test_a_passkey_is_made_named_used_and_removed(alice: PageClient, newcomer: Newcomer) -> None:
    phone = add_passkey(alice, name="Alice's <b>phone</b>")
    assert "Alice's <b>phone</b>" in alice.page(SECURITY).words
    browser = newcomer()
    answer = enter_by(phone, browser, "?next=/admin/invitations")
    assert (answer.status_code, answer.location) == (303, "/admin/invitations")
    assert browser.get("/admin/").status_code == 200

    removal = re.search(r"/account/security/passkeys/.*/removal", browser.get(SECURITY).text)
    assert removal is not None
    assert browser.submit(removal.group()).status_code == 303
    assert enter_by(phone, newcomer()).status_code == 422


def test_the_first_passkey_brings_recovery_codes(alice: PageClient) -> None:
    options = alice.get(f"{SECURITY}/passkeys/options").get_json()
    answer = alice.submit(f"{SECURITY}/passkeys", {"credential": Authenticator().create(options)})
    assert answer.status_code == 201
    assert len(codes_in(answer)) == 10


def test_with_a_passkey_the_password_asks_for_it(alice: PageClient, newcomer: Newcomer) -> None:
    add_passkey(alice)
    browser = newcomer()
    assert browser.submit("/login", CREDENTIALS).location == STEP
    page = browser.page(STEP)
    assert "Sign in with a passkey" in page.words
    assert "Code from your app" not in page.words


@pytest.mark.parametrize("credential", ["", "{}", "[" * 19_000, "x" * 20_001])
def test_an_answer_no_browser_gives_is_422(alice: PageClient, credential: str) -> None:
    fields = {"credential": credential}
    assert alice.submit("/login/passkey", fields).status_code == 422
    assert alice.submit(f"{SECURITY}/passkeys", fields).status_code == 422


@pytest.mark.parametrize("settings_changes", [{"public_url": "http://127.0.0.1"}])
def test_where_browsers_allow_no_passkeys_none_are_offered(client: PageClient) -> None:
    here = "http://127.0.0.1"
    assert "passkey" not in client.page("/login", base_url=here).words
    assert client.get("/login/passkey/options", base_url=here).status_code == 404


# --- Asking all staff for one ---


@pytest.fixture
def required(olivia: PageClient, alice: PageClient) -> None:
    """Olivia, who has an app, asks all staff for a second step."""
    set_up(olivia)
    assert olivia.submit("/admin/people/second-step", {"required": "yes"}).status_code == 303


def test_staff_without_a_second_step_are_led_to_set_one_up(
    required: None, alice: PageClient, mia: PageClient
) -> None:
    assert alice.get("/admin/").location == SECURITY
    assert alice.get("/admin/overview", headers={"HX-Request": "true"}).status_code == 401
    assert "asks staff for a second step" in alice.page(SECURITY).words
    set_up(alice)
    assert alice.get("/admin/").status_code == 200
    assert "asks staff" not in mia.page(SECURITY).words


def test_the_owner_sees_the_requirement_and_takes_it_back(
    required: None, olivia: PageClient, alice: PageClient
) -> None:
    assert "Required" in olivia.page("/admin/people").words
    olivia.submit("/admin/people/second-step", {"required": ""})
    assert alice.get("/admin/").status_code == 200
    assert "Require a second step" not in alice.page("/admin/people").words


def test_an_owner_without_a_second_step_is_led_to_it_first(olivia: PageClient) -> None:
    answer = olivia.submit("/admin/people/second-step", {"required": "yes"})
    assert answer.location == SECURITY
    assert olivia.get("/admin/").status_code == 200


def test_the_owner_helps_whoever_lost_phone_and_codes(
    olivia: PageClient, protected: tuple[App, list[str]], newcomer: Newcomer, ask: Ask
) -> None:
    found: list[UUID] = ask(sa.select(Account.id).where(Account.username == "alice"))
    page = f"/admin/people/{found[0]}"
    assert "Second step set up" in olivia.page(page).words
    assert olivia.submit(f"{page}/second-step/removal").location == page
    assert "Second step none" in olivia.page(page).words
    assert newcomer().submit("/login", CREDENTIALS).location == "/admin/"


def test_a_second_step_is_for_members_too(mia: PageClient, newcomer: Newcomer) -> None:
    set_up(mia)
    credentials = CREDENTIALS | {"identity": "mia"}
    assert newcomer().submit("/login", credentials).location == STEP
