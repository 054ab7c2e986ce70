"""Register, sign in, sign out."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from portal.clock import utcnow
from portal.domain.accounts import passwords
from portal.extensions import db
from portal.models import Account, Role, Session
from tests.factories import PASSWORD
from tests.pages import Page, PageClient, without_secrets, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]
SignIn = Callable[[Role, str], PageClient]


def register(browser: PageClient, name: str, **changes: str) -> TestResponse:
    """Send the form of the registration."""
    fields = {
        "email": f"{name}@example.org",
        "username": name,
        "password": PASSWORD,
        "confirmation": PASSWORD,
    }
    return browser.submit("/register", fields | changes)


def enter(
    browser: PageClient, name: str, password: str = PASSWORD, url: str = "/login"
) -> TestResponse:
    """Send the form to sign in."""
    return browser.submit(url, {"identity": name, "password": password})


def cookie(browser: PageClient) -> str:
    """The session cookie, as a thief would copy it."""
    found = browser.get_cookie("session")
    assert found is not None
    return found.value


# --- Registration ---


def test_the_first_to_register_owns_the_portal_and_is_signed_in(
    client: PageClient, ask: Ask
) -> None:
    assert "Whoever registers now becomes its owner." in client.page("/register").words
    answer = register(client, "olivia")
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert "olivia · owner" in client.page("/admin/").words
    assert ask(sa.select(Account.role)) == [Role.OWNER]


def test_after_the_first_registration_needs_an_invitation(
    client: PageClient, newcomer: Newcomer, ask: Ask
) -> None:
    register(client, "olivia")
    stranger = newcomer()
    assert "code" in stranger.page("/register").fields
    answer = register(stranger, "eve")
    assert answer.status_code == 403
    assert "Registration needs an invitation." in words(answer)
    assert ask(sa.select(Account.username)) == ["olivia"]


@pytest.mark.parametrize("settings_changes", [{"admin_registration": "open"}])
def test_open_registration_makes_admins_after_the_owner(
    client: PageClient, newcomer: Newcomer, ask: Ask
) -> None:
    register(client, "olivia")
    alice = newcomer()
    assert "Register" in alice.page("/register").title
    assert register(alice, "alice").status_code == 303
    assert set(ask(sa.select(Account.role))) == {Role.OWNER, Role.ADMIN}


@pytest.mark.parametrize("settings_changes", [{"admin_registration": "invite"}])
def test_registration_by_invitation_takes_a_staff_code_and_its_role(
    newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:
    vera, issued = newcomer(), issue(grants_role=Role.VIEWER)
    page = vera.page(f"/register?code={issued.code}")
    assert page.fields["code"] == issued.code
    assert register(vera, "vera", code=issued.code.lower()).status_code == 303
    assert "vera · viewer" in vera.page("/admin/").words
    assert ask(sa.select(Account.role).where(Account.username == "vera")) == [Role.VIEWER]


@pytest.mark.parametrize("settings_changes", [{"admin_registration": "invite"}])
def test_an_invitation_for_guests_makes_nobody_a_member_of_staff(
    newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:
    eve, issued = newcomer(), issue()
    answer = register(eve, "eve", code=issued.code)
    assert answer.status_code == 422
    assert "We don't know this code." in words(answer)
    assert ask(sa.select(Account.id).where(Account.username == "eve")) == []


@pytest.mark.parametrize("settings_changes", [{"admin_registration": "invite"}])
def test_codes_guessed_at_the_registration_lock_the_device_like_any_other(
    newcomer: Newcomer, issue: Issue
) -> None:  # case 13
    issue()
    eve = newcomer()
    statuses = [register(eve, "eve", code="nonsense").status_code for _ in range(3)]
    assert statuses == [422, 422, 429]
    assert eve.get("/").status_code == 429


@pytest.mark.parametrize("settings_changes", [{"admin_registration": "invite"}])
def test_two_codes_in_one_registration_are_refused(newcomer: Newcomer, issue: Issue) -> None:
    code = issue(grants_role=Role.VIEWER).code
    fields = {"email": "e@example.org", "username": "eve", "password": PASSWORD}
    fields |= {"confirmation": PASSWORD}
    answer = newcomer().submit("/register", fields | {"code": [code, code]})
    assert answer.status_code == 400  # case 14


def test_nobody_chooses_a_role_for_themselves(client: PageClient, ask: Ask) -> None:
    register(client, "olivia")
    answer = register(client, "eve", role="owner", grants_role="owner", verified="1")
    assert answer.status_code == 403  # case 61
    assert ask(sa.select(Account.username)) == ["olivia"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"email": "nobody"}, "This is not an e-mail address."),
        ({"email": "a@x.org,b@y.org"}, "This is not an e-mail address."),  # case 42
        ({"email": "eve@example.org\r\nBcc: all@example.org"}, "not an e-mail address."),
        ({"username": "a b"}, "A username has up to 32 letters"),
        ({"username": "<script>"}, "A username has up to 32 letters"),
        ({"username": "x" * 33}, "longer than 32"),
        ({"confirmation": "another"}, "The two passwords are not the same."),
        ({"password": "short", "confirmation": "short"}, "at least 8 characters"),
        ({"password": "password1", "confirmation": "password1"}, "most common"),
        ({"password": "", "confirmation": ""}, "Choose a password."),
    ],
)
def test_a_registration_that_will_not_do_says_what_is_wrong(
    client: PageClient, ask: Ask, changes: dict[str, str], sentence: str
) -> None:
    answer = register(client, "olivia", **changes)
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert ask(sa.select(Account.id)) == []


def test_a_refused_registration_keeps_the_fields_but_no_password(client: PageClient) -> None:
    answer = register(client, "olivia", confirmation="another")
    fields = Page(answer.text).fields
    assert (fields["email"], fields["username"]) == ("olivia@example.org", "olivia")
    assert PASSWORD not in answer.text


@pytest.mark.parametrize("settings_changes", [{"admin_registration": "open"}])
@pytest.mark.parametrize("changes", [{"email": "OLIVIA@example.org"}, {"username": "Olivia"}])
def test_a_taken_name_is_taken_in_any_case(
    client: PageClient, newcomer: Newcomer, changes: dict[str, str]
) -> None:
    register(client, "olivia")
    answer = register(newcomer(), "alice", **changes)
    assert answer.status_code == 422
    assert "exists already" in words(answer)


@pytest.mark.parametrize("settings_changes", [{"admin_registration": "open"}])
def test_registering_anew_ends_the_session_before(olivia: PageClient) -> None:
    stolen = cookie(olivia)
    register(olivia, "alice")
    assert "alice · admin" in olivia.page("/admin/").words
    olivia.set_cookie("session", stolen)
    assert olivia.get("/admin/").status_code == 303


# --- Signing in and out ---


@pytest.mark.parametrize("name", ["olivia", "OLIVIA", " olivia ", "Olivia@Example.org"])
def test_staff_sign_in_by_username_or_mail_in_any_case(
    newcomer: Newcomer, olivia: PageClient, name: str
) -> None:
    browser = newcomer()
    answer = enter(browser, name)
    assert (answer.status_code, answer.location) == (303, "/admin/")
    assert browser.get("/admin/").status_code == 200


def test_a_wrong_password_and_an_unknown_name_get_one_answer(
    newcomer: Newcomer, olivia: PageClient
) -> None:  # case 4
    answers = [
        without_secrets(enter(newcomer(), name, "wrong horse"), name) for name in ("olivia", "eve")
    ]
    assert answers[0] == answers[1]
    assert "The name or the password is not right." in answers[0]


def test_a_refused_sign_in_is_422_and_gives_no_password_back(olivia: PageClient) -> None:
    answer = enter(olivia, "olivia", "a wrong and secret one")
    assert answer.status_code == 422
    assert "secret one" not in answer.text


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), ("olivia", ""), ("x" * 255, "y")])
def test_half_a_form_signs_nobody_in(client: PageClient, name: str, password: str) -> None:
    assert enter(client, name, password).status_code == 422


def test_signing_in_gives_a_new_session_and_the_old_one_is_dead(
    olivia: PageClient, ask: Ask
) -> None:  # case 28
    old = cookie(olivia)
    enter(olivia, "olivia")
    new = cookie(olivia)
    olivia.set_cookie("session", old)
    assert olivia.get("/admin/").status_code == 303
    olivia.set_cookie("session", new)
    assert olivia.get("/admin/").status_code == 200
    assert len(ask(sa.select(Session.id).where(Session.revoked_at.is_(None)))) == 1


def test_a_csrf_token_from_before_signing_in_is_worth_nothing_after(
    newcomer: Newcomer, olivia: PageClient
) -> None:
    browser = newcomer()
    old = browser.token()
    enter(browser, "olivia")
    assert browser.post("/logout", data={"csrf_token": old}).status_code == 400


def test_a_form_left_open_while_signing_out_elsewhere_leads_to_the_sign_in(
    olivia: PageClient,
) -> None:
    left_open = {"csrf_token": olivia.token(), "label": "Tea"}
    olivia.submit("/logout")
    assert olivia.post("/admin/invitations", data=left_open).location.startswith("/login")


def test_who_signs_out_is_out_even_with_a_copied_cookie(olivia: PageClient) -> None:  # case 29
    stolen = cookie(olivia)
    answer = olivia.submit("/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert olivia.get("/admin/").status_code == 303
    olivia.set_cookie("session", stolen)
    assert olivia.get("/admin/").status_code == 303


@pytest.mark.parametrize("how", ["role = 'member'", "deactivated_at = CURRENT_TIMESTAMP"])
def test_a_change_of_role_or_deactivation_is_felt_at_the_next_request(
    alice: PageClient, app: Flask, how: str
) -> None:  # case 29
    with app.app_context():
        db.session.execute(sa.text(f"UPDATE account SET {how}"))  # noqa: S608 - our own words
        db.session.commit()
    assert alice.get("/admin/invitations/new").status_code in {303, 403}


def test_a_deactivated_account_is_told_so_only_with_its_password(
    newcomer: Newcomer, olivia: PageClient, app: Flask
) -> None:
    with app.app_context():
        db.session.execute(sa.update(Account).values(deactivated_at=utcnow()))
        db.session.commit()
    assert "deactivated" in words(enter(newcomer(), "olivia"))
    assert "deactivated" not in words(enter(newcomer(), "olivia", "wrong horse"))


def test_a_session_goes_idle_after_half_an_hour_and_ends_after_twelve(
    newcomer: Newcomer, olivia: PageClient
) -> None:
    with time_machine.travel(utcnow(), tick=False) as clock:
        browser = newcomer()
        enter(browser, "olivia")
        for _ in range(24):
            clock.shift(timedelta(minutes=29))
            assert browser.get("/admin/").status_code == 200
        clock.shift(timedelta(minutes=29))
        assert browser.get("/admin/").status_code == 303
        enter(browser, "olivia")
        clock.shift(timedelta(minutes=30))
        assert browser.get("/admin/").status_code == 303


def test_ten_wrong_passwords_close_the_name_to_strangers_not_to_a_known_device(
    olivia: PageClient, newcomer: Newcomer
) -> None:  # case 17
    eve = newcomer()
    statuses = [enter(eve, "olivia", "wrong horse").status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]
    answer = enter(newcomer(), "olivia")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 1800
    assert Page(answer.text).links["Try again"] == "/login"
    olivia.submit("/logout")
    assert enter(olivia, "olivia").status_code == 303


def test_an_invitee_who_signs_in_as_staff_stays_an_invitee(
    newcomer: Newcomer, olivia: PageClient, issue: Issue
) -> None:
    browser = newcomer()
    browser.submit("/", {"code": issue().code})
    enter(browser, "olivia")
    assert browser.get("/welcome").status_code == 200
    assert browser.get("/admin/").status_code == 200


@pytest.mark.parametrize("length", [257, 900_000])
def test_a_huge_password_is_refused_before_it_is_hashed(
    client: PageClient, olivia: PageClient, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:  # case 69
    class Unused:
        def verify(self, *_: str) -> None:
            pytest.fail("a huge password was hashed")

        hash = verify

    monkeypatch.setattr(passwords, "_hasher", Unused())
    assert enter(client, "olivia", "x" * length).status_code == 422
    assert enter(client, "nobody", "x" * length).status_code == 422


def test_a_password_of_a_megabyte_is_too_large_a_body(client: PageClient) -> None:
    assert enter(client, "olivia", "x" * 1024 * 1024).status_code == 413  # case 69


# --- Where people are sent ---


@pytest.mark.parametrize("url", ["/admin/", "/admin/invitations?q=garden&status=active"])
def test_a_page_that_needs_signing_in_is_where_it_leads(
    newcomer: Newcomer, olivia: PageClient, url: str
) -> None:
    browser = newcomer()
    login = browser.get(url)
    assert login.status_code == 303
    answer = enter(browser, "olivia", url=login.location)
    assert (answer.status_code, answer.location) == (303, url)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/%0d%0aSet-Cookie:a=b\r\n",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "evil.example",
        "///evil.example",
        " /admin/",
        "",
    ],
)
def test_nobody_is_led_out_of_the_portal(
    newcomer: Newcomer, olivia: PageClient, target: str
) -> None:  # case 65
    browser = newcomer()
    token = browser.token()
    answer = browser.post(
        "/login",
        query_string={"next": target},
        data={"csrf_token": token, "identity": "olivia", "password": PASSWORD},
    )
    assert (answer.status_code, answer.location) == (303, "/admin/")


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("GET", "/admin/overview"),
        ("GET", "/admin/invitations/history"),
        ("POST", "/admin/invitations/01939c3e-0000-7000-8000-000000000000/code/fragment"),
    ],
)
def test_a_fragment_without_a_session_is_401_and_htmx_goes_to_the_sign_in(
    client: PageClient, method: str, url: str
) -> None:  # case 32
    answer = client.open(
        url, method=method, data={"csrf_token": client.token()}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login"
    assert answer.data == b""


def test_a_session_that_ends_while_a_page_is_open_sends_htmx_to_the_sign_in(
    olivia: PageClient,
) -> None:  # case 32
    stolen = cookie(olivia)
    olivia.submit("/logout")
    olivia.set_cookie("session", stolen)
    answer = olivia.get("/admin/overview", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/login")


def test_htmx_restoring_a_page_is_answered_with_a_page(client: PageClient) -> None:
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    answer = client.get("/admin/", headers=headers)
    assert (answer.status_code, answer.location) == (303, "/login?next=/admin/")
