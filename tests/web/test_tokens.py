"""API tokens of one's own."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from portal.clock import utcnow
from portal.models import ApiToken, Mail
from tests.factories import PASSWORD
from tests.pages import Page, PageClient, words

Ask = Callable[[sa.Select[Any]], list[Any]]

Newcomer = Callable[[], PageClient]
TOKENS = "/admin/tokens"
CREDENTIALS = {"identity": "alice", "password": PASSWORD}
NEW_PASSWORD = {"current_password": PASSWORD, "password": "a new battery staple"}


def make(browser: PageClient, **changes: str) -> str:
    """Make a token by the form, and copy it from the page."""
    answer = browser.submit(TOKENS, {"name": "cron", "scope": "issue", "days": "30"} | changes)
    assert answer.status_code == 201
    return re.findall(r"\binv_[\w-]+", words(answer))[0]


def test_a_token_is_shown_once_and_stored_as_its_digest(alice: PageClient, ask: Ask) -> None:
    assert "You have made none yet." in alice.page(TOKENS).words
    token = make(alice)
    page = alice.page(TOKENS)
    assert token not in page.words
    assert f"…{token[-4:]}" in page.words
    [stored] = ask(sa.select(ApiToken.digest))
    assert token.encode() not in stored


def test_a_token_works_until_it_is_revoked(alice: PageClient, app: Any, ask: Ask) -> None:
    headers = {"Authorization": f"Bearer {make(alice)}"}
    program, url = app.test_client(), "/api/v1/admin/invitation/history"
    assert program.get(url, headers=headers).status_code == 200
    [token] = ask(sa.select(ApiToken.id))
    assert alice.submit(f"{TOKENS}/{token}/revocation").status_code == 303
    assert "Programs that use it are refused" in alice.page(TOKENS).words
    assert program.get(url, headers=headers).status_code == 401


# case 89
def test_making_a_token_needs_a_fresh_sign_in(
    newcomer: Newcomer, alice: PageClient, ask: Ask
) -> None:
    browser = newcomer()
    with time_machine.travel(utcnow(), tick=False) as clock:
        browser.submit("/login", CREDENTIALS)
        clock.shift(timedelta(minutes=16))
        page = browser.page(TOKENS)
        assert "making one needs a fresh sign-in" in page.words
        assert "Make the token" not in page.words

        answer = browser.submit(TOKENS, {"name": "cron", "scope": "manage", "days": ""})
        assert (answer.status_code, answer.location) == (303, f"/login?next={TOKENS}")
        assert "only a fresh sign-in" in browser.page(answer.location).words
        assert ask(sa.select(ApiToken.id)) == []

        assert browser.submit(answer.location, CREDENTIALS).location == TOKENS
        assert make(browser)


# case 89
def test_whoever_made_a_token_is_written_to(alice: PageClient, ask: Ask) -> None:
    make(alice)
    mailed = ask(sa.select(Mail.recipient).where(Mail.kind == "api_token_created"))
    assert mailed == ["alice@example.org"]


# case 89
def test_the_page_says_where_a_token_was_used_last(alice: PageClient, app: Any) -> None:
    headers = {"Authorization": f"Bearer {make(alice)}"}
    at = {"REMOTE_ADDR": "203.0.113.9"}
    url = "/api/v1/admin/invitation/history"
    app.test_client().get(url, headers=headers, environ_overrides=at)
    assert "from 203.0.113.9" in alice.page(TOKENS).words


# case 92
def test_a_token_to_sign_people_in_says_so(alice: PageClient) -> None:
    make(alice, scope="sign-in")
    assert "sign-in" in alice.page(TOKENS).words


# case 89
@pytest.mark.parametrize(
    ("form", "action", "fields"),
    [
        ("/account/password", "/account/password", NEW_PASSWORD),
        ("/account/sessions", "/account/sessions/closure", {}),
    ],
)
def test_tokens_are_offered_to_end_with_the_sessions(
    alice: PageClient, app: Any, form: str, action: str, fields: dict[str, str]
) -> None:
    assert "stop working" not in alice.page(form).words
    headers = {"Authorization": f"Bearer {make(alice)}"}
    program, url = app.test_client(), "/api/v1/admin/invitation/history"
    page = alice.page(form)
    assert "End my 1 API token too" in page.words
    assert page.fields["end_tokens"] == "y"  # ticked, unless one thinks otherwise

    assert alice.submit(action, fields | {"end_tokens": "y"}).status_code == 303
    assert program.get(url, headers=headers).status_code == 401


def test_tokens_that_are_to_go_on_outlive_a_new_password(alice: PageClient, app: Any) -> None:
    headers = {"Authorization": f"Bearer {make(alice)}"}
    assert alice.submit("/account/password", NEW_PASSWORD).status_code == 303
    program, url = app.test_client(), "/api/v1/admin/invitation/history"
    assert program.get(url, headers=headers).status_code == 200


def test_a_token_of_somebody_else_is_neither_seen_nor_revoked(
    alice: PageClient, olivia: PageClient, ask: Ask
) -> None:
    make(alice, name="alices-own")
    assert "alices-own" not in olivia.page(TOKENS).words
    [token] = ask(sa.select(ApiToken.id))
    assert olivia.submit(f"{TOKENS}/{token}/revocation").status_code == 404
    assert ask(sa.select(ApiToken.revoked_at)) == [None]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "Name the program."),
        ({"name": "a\0b"}, "one line of plain text"),
        ({"name": "x" * 81}, "longer than 80"),
        ({"scope": "everything"}, "Not a valid choice"),
        ({"days": "0"}, "between 1 and 3650"),
        ({"days": "soon"}, "Not a valid integer"),
    ],
)
def test_a_token_that_will_not_do_is_explained_and_not_made(
    alice: PageClient, ask: Ask, changes: dict[str, str], sentence: str
) -> None:
    answer = alice.submit(TOKENS, {"name": "cron", "scope": "read", "days": ""} | changes)
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert ask(sa.select(ApiToken.id)) == []


def test_a_name_is_literal(alice: PageClient) -> None:
    make(alice, name="<b hx-get='/logout'>{{7*7}}")
    assert "<b hx-get='/logout'>{{7*7}}" in alice.page(TOKENS).words


def test_the_answer_with_a_token_is_a_page_like_any_other(alice: PageClient) -> None:
    answer = alice.submit(TOKENS, {"name": "cron", "scope": "manage", "days": ""})
    assert "it is not stored" in Page(answer.text).words
    assert answer.headers["Cache-Control"] == "no-store"
