"""API tokens of one's own."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from portal.models import ApiToken
from tests.pages import Page, PageClient, words

Ask = Callable[[sa.Select[Any]], list[Any]]

TOKENS = "/admin/tokens"


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
