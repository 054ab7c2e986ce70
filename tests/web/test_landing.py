"""The page where invitees type their code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from werkzeug.test import TestResponse
from wtforms.validators import Email

from portal.clock import utcnow
from portal.domain.invitations import codes
from portal.extensions import db
from portal.models import AttemptCounter, AuditEvent, Invitation, Redemption, Role
from tests.pages import Page, PageClient, without_secrets, words
from tests.web.conftest import Issue, Issued

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]

DAY = timedelta(days=1)


def redeem(browser: PageClient, code: str, **fields: str) -> TestResponse:
    """Send the form of the landing page."""
    return browser.submit("/", {"code": code} | fields)


def validate(browser: PageClient, code: str) -> TestResponse:
    """Ask as the page does while somebody is typing."""
    return browser.submit("/validation", {"code": code}, headers={"HX-Request": "true"})


def mistyped(code: str) -> str:
    """The code with another last character."""
    return code[:-1] + ("0" if code[-1] != "0" else "1")


def revoke(olivia: PageClient, issued: Issued) -> None:
    """Take it back."""
    assert olivia.submit(f"{issued.page}/revocation").status_code == 303


@contextmanager
def statements(app: Flask) -> Iterator[list[str]]:
    """Every statement the database is sent meanwhile."""
    seen: list[str] = []
    with app.app_context():
        engine = db.engine

    def note(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


# --- What the page says while a code is typed ---


def test_the_landing_page_has_one_field_made_for_a_code(client: PageClient) -> None:
    page = client.page("/")
    html = client.get("/").text
    assert "Twelve letters and digits" in page.words
    for attribute in ('autocomplete="one-time-code"', 'autocapitalize="characters"', "autofocus"):
        assert attribute in html


@pytest.mark.parametrize("typed", ["K", "K7QM", "K7QM-4TXB-9RW", "  k7qm 4t"])
def test_a_part_of_a_code_is_neither_looked_up_nor_counted(
    client: PageClient, app: Flask, ask: Ask, typed: str
) -> None:  # case 1
    client.get("/")
    token = client.token()
    with statements(app) as seen:
        answer = client.post("/validation", data={"csrf_token": token, "code": typed})
    assert answer.status_code == 200
    assert f"{len(codes.canonical(typed))} of 12." in words(answer)
    assert seen == []
    assert ask(sa.select(AttemptCounter.key)) == []


def test_a_mistyped_code_is_called_a_typo_and_not_looked_up(
    client: PageClient, issue: Issue, app: Flask, ask: Ask
) -> None:
    typed = mistyped(issue().code)
    token = client.token()
    with statements(app) as seen:
        answer = client.post("/validation", data={"csrf_token": token, "code": typed})
    assert "Is there a typo?" in words(answer)
    assert seen == []


def test_a_valid_code_is_told_until_when(client: PageClient, issue: Issue) -> None:
    answer = validate(client, issue().code)
    assert "✓ Valid until" in words(answer)
    assert "<time datetime=" in answer.text


def test_a_code_without_an_end_is_valid(client: PageClient, issue: Issue) -> None:
    assert "✓ This code is valid" in words(validate(client, issue(expires_at=None).code))


def test_an_expired_code_says_kindly_when_it_ended(client: PageClient, issue: Issue) -> None:
    issued = issue(now=utcnow() - 30 * DAY)
    answer = words(validate(client, issued.code))
    assert "This invitation expired on" in answer
    assert "Ask for a new one." in answer


def test_a_spent_code_says_so(client: PageClient, newcomer: Newcomer, issue: Issue) -> None:
    issued = issue()
    redeem(newcomer(), issued.code)
    assert "already been used" in words(validate(client, issued.code))


def test_a_code_that_is_not_open_yet_says_when_it_opens(client: PageClient, issue: Issue) -> None:
    issued = issue(starts_at=utcnow() + DAY)
    assert "This invitation opens on" in words(validate(client, issued.code))


def test_live_validation_answers_the_same_for_an_unknown_and_a_revoked_code(
    client: PageClient, issue: Issue, olivia: PageClient
) -> None:  # case 3
    issued = issue()
    revoke(olivia, issued)
    revoked, unknown = validate(client, issued.code), validate(client, codes.draw())
    assert revoked.data == unknown.data
    assert revoked.status_code == unknown.status_code == 200
    assert "We don't know this code." in words(unknown)


def test_live_validation_costs_the_device_no_try(client: PageClient, issue: Issue) -> None:
    for _ in range(5):
        validate(client, codes.draw())
    assert redeem(client, issue().code).status_code == 303


def test_live_validation_of_a_code_bound_to_somebody_asks_for_the_address(
    client: PageClient, issue: Issue
) -> None:
    answer = validate(client, issue(recipient="ada@example.org").code)
    assert "Your e-mail" in words(answer)
    assert "ada@example.org" not in answer.text


@pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 4}])
def test_live_checks_of_many_codes_use_up_the_budget_of_the_address(
    newcomer: Newcomer,
) -> None:  # case 2
    for _ in range(4):
        assert validate(newcomer(), codes.draw()).status_code == 200
    answer = validate(newcomer(), codes.draw())
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "<html" not in answer.text


# --- Links ---


def test_a_link_fills_the_code_in_and_validates_it(client: PageClient, issue: Issue) -> None:
    issued = issue()
    page = client.page(f"/?code={issued.code}")
    assert page.fields["code"] == issued.code
    assert "✓ Valid until" in page.words


def test_a_link_never_redeems(client: PageClient, issue: Issue, ask: Ask) -> None:
    issued = issue()
    client.get(f"/?code={issued.code}")
    assert ask(sa.select(Redemption.id)) == []
    assert ask(sa.select(Invitation.uses)) == [0]
    assert client.get("/welcome").status_code == 303


def test_the_first_visit_of_a_link_is_remembered(
    client: PageClient, issue: Issue, olivia: PageClient
) -> None:
    issued = issue()
    client.get(f"/?code={issued.code}")
    assert "Link first opened" in olivia.page(issued.page).words


def test_a_link_with_an_unknown_code_is_told_apart_from_no_revoked_one(
    client: PageClient, issue: Issue, olivia: PageClient
) -> None:  # case 3
    issued, unknown = issue(), codes.grouped(codes.draw())
    revoke(olivia, issued)
    answers = [
        without_secrets(client.get(f"/?code={code}"), code) for code in (issued.code, unknown)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("typed", ['"><script>alert(1)</script>', "{{7*7}}", "x" * 3000])
def test_whatever_stands_in_a_link_is_only_shown(client: PageClient, typed: str) -> None:
    page = Page(client.get("/", query_string={"code": typed}).text)
    assert page.fields["code"] == typed


# --- Redeeming ---


@pytest.mark.parametrize(
    "write",
    [
        str,
        str.lower,
        lambda code: code.replace("-", " "),
        lambda code: code.replace("-", ""),
        lambda code: f"  {code}\t",
        lambda code: code.replace("0", "O").replace("1", "l"),
        lambda code: "".join(
            chr(ord(c) + 0xFEE0) if c.isalnum() else "\u2013" for c in code
        ),  # full width, en dashes
    ],
)
def test_a_code_is_understood_however_it_is_written(
    client: PageClient, issue: Issue, write: Callable[[str], str]
) -> None:  # case 6
    answer = redeem(client, write(issue().code))
    assert answer.status_code == 303
    assert answer.location == "/welcome"


def test_a_code_lets_the_invitee_in(client: PageClient, issue: Issue, ask: Ask) -> None:
    redeem(client, issue().code)
    page = client.page("/welcome")
    assert "We are glad you came." in page.words
    assert ask(sa.select(Invitation.uses)) == [1]


@pytest.mark.parametrize(
    "settings_changes",
    [{"welcome_text": "<b>Hi</b> {{7*7}}", "welcome_url": "https://club.example.org/start"}],
)
def test_the_welcome_is_what_the_settings_say(client: PageClient, issue: Issue) -> None:
    redeem(client, issue().code)
    page = client.page("/welcome")
    assert "<b>Hi</b> {{7*7}}" in page.words
    assert page.links["Go on"] == "https://club.example.org/start"


def test_an_invitee_who_comes_back_is_led_to_the_welcome(client: PageClient, issue: Issue) -> None:
    redeem(client, issue().code)
    answer = client.get("/")
    assert (answer.status_code, answer.location) == (302, "/welcome")


def test_the_same_device_gets_in_again_and_uses_nothing_up(
    client: PageClient, issue: Issue, ask: Ask
) -> None:
    issued = issue()
    redeem(client, issued.code)
    client.submit("/welcome/departure")
    assert "✓ Valid until" in words(client.get(f"/?code={issued.code}"))
    assert redeem(client, issued.code).status_code == 303
    assert client.get("/welcome").status_code == 200
    assert ask(sa.select(Invitation.uses)) == [1]


def test_another_device_finds_the_code_spent(
    client: PageClient, newcomer: Newcomer, issue: Issue
) -> None:
    issued = issue()
    redeem(client, issued.code)
    answer = redeem(newcomer(), issued.code)
    assert answer.status_code == 422
    assert "already been used" in words(answer)


def test_a_code_for_several_admits_so_many_devices(newcomer: Newcomer, issue: Issue) -> None:
    issued = issue(max_uses=2)
    answers = [redeem(newcomer(), issued.code).status_code for _ in range(3)]
    assert answers == [303, 303, 422]


def test_who_leaves_is_out(client: PageClient, issue: Issue) -> None:
    redeem(client, issue().code)
    stolen = client.get_cookie("session")
    answer = client.submit("/welcome/departure")
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/welcome").location == "/"
    assert stolen is not None
    client.set_cookie("session", stolen.value)  # the session itself has ended, not just its cookie
    assert client.get("/welcome").location == "/"


def test_the_welcome_is_for_invitees_only(client: PageClient) -> None:
    answer = client.get("/welcome")
    assert (answer.status_code, answer.location) == (303, "/")


def test_an_empty_form_asks_for_the_code_and_costs_no_try(client: PageClient, ask: Ask) -> None:
    answer = redeem(client, "")
    assert answer.status_code == 422
    assert "Enter your code." in words(answer)
    assert ask(sa.select(AttemptCounter.key)) == []


def test_the_form_keeps_what_was_typed(client: PageClient) -> None:
    assert Page(redeem(client, "K7QM-4TXB").text).fields["code"] == "K7QM-4TXB"


def test_two_codes_in_one_form_are_refused(client: PageClient, issue: Issue, ask: Ask) -> None:
    codes = [issue().code, issue().code]
    for url in ("/", "/validation"):
        assert client.submit(url, {"code": codes}).status_code == 400  # case 14
    assert ask(sa.select(AttemptCounter.key)) == []
    assert ask(sa.select(Redemption.id)) == []


def test_two_codes_in_one_link_are_refused(client: PageClient, issue: Issue) -> None:
    answer = client.get(f"/?code={issue().code}&code={issue().code}")
    assert answer.status_code == 400  # case 14


# --- Wrong codes, and the lock ---


def test_unknown_malformed_and_revoked_codes_get_one_answer(
    newcomer: Newcomer, issue: Issue, olivia: PageClient
) -> None:  # case 3
    issued = issue()
    revoke(olivia, issued)
    typed = [codes.grouped(codes.draw()), mistyped(issue().code), "nonsense", "%00'--", issued.code]
    answers = [redeem(newcomer(), code) for code in typed]
    assert {answer.status_code for answer in answers} == {422}
    pages = [without_secrets(answer, code) for answer, code in zip(answers, typed, strict=True)]
    assert len(set(pages)) == 1
    assert "We don't know this code." in words(answers[0])


def test_a_wrong_code_says_how_many_tries_are_left(client: PageClient) -> None:
    assert "2 tries left" in words(redeem(client, codes.draw()))
    assert "1 try left" in words(redeem(client, codes.draw()))


def test_the_third_failure_locks_the_device_for_half_an_hour(client: PageClient) -> None:
    answers = [redeem(client, codes.draw()) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert 1790 < int(answers[2].headers["Retry-After"]) <= 1800
    assert "Please wait a little" in words(answers[2])
    assert "data-countdown=" in answers[2].text


def test_a_locked_device_meets_the_lock_page_at_every_turn(
    client: PageClient, issue: Issue, ask: Ask
) -> None:
    issued = issue()
    for _ in range(3):
        redeem(client, codes.draw())
    turns = [
        client.get("/"),
        client.get(f"/?code={issued.code}"),
        redeem(client, issued.code),  # case 7
        validate(client, issued.code),
    ]
    for answer in turns:
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) <= 1800
    assert ask(sa.select(Redemption.id)) == []
    assert ask(sa.select(AuditEvent.action).where(AuditEvent.action == "device.locked")) != []


def test_the_lock_ends_by_itself_and_the_count_starts_afresh(
    client: PageClient, issue: Issue
) -> None:  # case 15
    issued = issue()
    with time_machine.travel(utcnow(), tick=False) as clock:
        for _ in range(3):
            redeem(client, codes.draw())
        clock.shift(timedelta(minutes=29, seconds=59))
        answer = redeem(client, issued.code)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
        clock.shift(timedelta(seconds=2))
        assert "2 tries left" in words(redeem(client, codes.draw()))
        assert redeem(client, issued.code).status_code == 303


def test_a_success_gives_the_tries_back(client: PageClient, issue: Issue) -> None:
    redeem(client, codes.draw())
    redeem(client, codes.draw())
    redeem(client, issue().code)
    assert "2 tries left" in words(redeem(client, codes.draw()))


def test_another_device_behind_the_same_address_is_not_locked(
    client: PageClient, newcomer: Newcomer, issue: Issue
) -> None:
    for _ in range(3):
        redeem(client, codes.draw())
    assert redeem(newcomer(), issue().code).status_code == 303


def test_an_invitee_who_is_in_already_stays_in_while_the_device_is_locked(
    client: PageClient, issue: Issue
) -> None:
    redeem(client, issue().code)
    for _ in range(3):
        redeem(client, codes.draw())
    assert client.get("/welcome").status_code == 200


@pytest.mark.parametrize("settings_changes", [{"lockout_attempts": 1, "lockout_minutes": 5}])
def test_how_many_tries_there_are_is_a_setting(client: PageClient) -> None:
    answer = redeem(client, codes.draw())
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) <= 300


# --- Codes with terms ---


def test_a_personal_code_asks_for_the_address_at_no_cost(client: PageClient, issue: Issue) -> None:
    issued = issue(recipient="ada@example.org")
    for _ in range(4):
        answer = redeem(client, issued.code)
        assert answer.status_code == 422
        assert "Enter the e-mail address it was made for." in words(answer)
    assert redeem(client, issued.code, email="Ada@Example.org").status_code == 303


@pytest.mark.parametrize(
    "email",
    [
        "eve@example.org",
        "ada@example.com",
        "ada@sub.example.org",
        "ada@example.org.evil.example",
        "ada@exаmple.org",  # a Cyrillic а
    ],
)
def test_a_personal_code_refuses_other_addresses(
    client: PageClient, issue: Issue, email: str
) -> None:  # case 48
    answer = redeem(client, issue(recipient="ada@example.org").code, email=email)
    assert answer.status_code == 422
    assert "made for another e-mail address" in words(answer)
    assert Page(answer.text).fields["email"] == email


def test_a_code_for_an_organisation_admits_its_people_only(
    newcomer: Newcomer, issue: Issue
) -> None:
    issued = issue(recipient="@example.org", max_uses=None)
    for email, status in (
        ("ada@example.org", 303),
        ("bob@EXAMPLE.ORG", 303),
        ("eve@notexample.org", 422),
        ("eve@example.org.evil.example", 422),
    ):
        assert redeem(newcomer(), issued.code, email=email).status_code == status


def test_what_is_no_address_is_said_so_at_no_cost(client: PageClient, issue: Issue) -> None:
    issued = issue(recipient="ada@example.org")
    answer = redeem(client, issued.code, email="a@x,b@y")
    assert answer.status_code == 422
    assert redeem(client, issued.code, email="ada@example.org").status_code == 303


def test_a_code_for_staff_leads_to_the_registration_and_is_not_used_up(
    client: PageClient, issue: Issue, ask: Ask
) -> None:
    issued = issue(grants_role=Role.ADMIN)
    assert "makes you a member of staff" in words(validate(client, issued.code))
    answer = redeem(client, issued.code)
    assert answer.status_code == 422
    assert Page(answer.text).links["Register as staff"].startswith("/register")
    assert ask(sa.select(Invitation.uses)) == [0]


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ({"expires_at": utcnow() - DAY}, "This invitation expired on"),
        ({"starts_at": utcnow() + DAY}, "This invitation opens on"),
    ],
)
def test_a_real_code_at_the_wrong_time_says_why(
    client: PageClient, issue: Issue, terms: dict[str, Any], sentence: str
) -> None:
    issued = issue(now=utcnow() - 2 * DAY, **terms)
    answer = redeem(client, issued.code)
    assert answer.status_code == 422
    assert sentence in words(answer)


def test_an_endless_email_is_refused_before_anybody_takes_it_apart(
    client: PageClient, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:  # case 72
    code = issue(recipient="@example.org").code
    monkeypatch.setattr(Email, "__call__", lambda *_: pytest.fail("it was taken apart"))
    answer = client.submit("/", {"code": code, "email": "a" * 300 + "@example.org"})
    assert answer.status_code == 422
