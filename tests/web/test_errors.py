"""Refusals and faults, in the portal's own look."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal import create_app
from portal.domain.errors import PortalError
from portal.extensions import db
from portal.http.guards import public
from tests.conftest import POSTGRES, make_settings
from tests.pages import Page, PageClient, words
from tests.servers import serve

TITLES = {
    400: "That did not work",
    403: "Not open to you",
    404: "Not found",
    405: "Not that way",
    413: "Too large",
    422: "That did not work",
    429: "Please wait",
    500: "Our mistake",
    503: "Back in a moment",
}


def refuse() -> None:
    """A view that says no."""
    raise PortalError("Not on a Sunday.")


def break_down() -> None:
    """A view with a fault that tells more than it should."""
    raise RuntimeError("the secret is swordfish")


@pytest.fixture
def faulty(app: Flask) -> PageClient:
    """A browser on a portal with two more views."""
    app.add_url_rule("/refusal", view_func=public(refuse))
    app.add_url_rule("/fault", view_func=public(break_down))
    browser = app.test_client()
    assert isinstance(browser, PageClient)
    return browser


PROVOCATIONS: dict[int, tuple[str, str, dict[str, Any]]] = {
    400: ("POST", "/login", {}),
    403: ("POST", "/", {"headers": {"Origin": "https://evil.example"}}),
    404: ("GET", "/nowhere", {}),
    405: ("GET", "/logout", {}),
    413: ("POST", "/", {"data": {"code": "x" * 1024 * 1024}}),
    422: ("GET", "/refusal", {}),
    500: ("GET", "/fault", {}),
}


def provoke(browser: PageClient, status: int, headers: dict[str, str]) -> TestResponse:
    """Make the portal answer with that status."""
    method, url, request = PROVOCATIONS[status]
    headers = request.get("headers", {}) | headers
    data = request.get("data", {"csrf_token": browser.token()} if status == 403 else None)
    return browser.open(url, method=method, data=data, headers=headers)


@pytest.mark.parametrize("status", PROVOCATIONS)
def test_an_error_is_a_page_in_our_look_with_the_id_of_its_request(
    faulty: PageClient, status: int
) -> None:
    answer = provoke(faulty, status, {"X-Request-ID": "my-own.id_7"})
    assert answer.status_code == status
    text = words(answer)
    assert TITLES[status] in text
    assert "give this number: my-own.id_7" in text
    assert 'class="ticket"' in answer.text
    assert "Back to the start" in text
    assert answer.headers["X-Request-ID"] == "my-own.id_7"


@pytest.mark.parametrize("status", PROVOCATIONS)
def test_htmx_is_given_a_fragment_of_it(faulty: PageClient, status: int) -> None:
    answer = provoke(faulty, status, {"HX-Request": "true"})
    assert answer.status_code == status
    assert answer.text.lstrip().startswith('<div id="error" role="alert">')
    assert "<html" not in answer.text


def test_a_fault_tells_no_secrets(faulty: PageClient) -> None:
    answer = faulty.get("/fault")
    for secret in ("swordfish", "RuntimeError", "Traceback"):
        assert secret not in answer.text


def test_a_405_says_what_would_do(client: PageClient) -> None:
    allowed = client.get("/logout").headers["Allow"]
    assert set(allowed.split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\u00e9", "<script>", "{{7*7}}"])
def test_an_id_that_is_none_is_replaced(client: PageClient, given: str) -> None:
    answer = client.get("/nowhere", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])
    assert answer.headers["X-Request-ID"] in words(answer)


@pytest.mark.parametrize("url", ["/api/nothing", "/api/v1/nothing"])
def test_programs_are_answered_in_json(client: PageClient, url: str) -> None:
    for answer in (client.get(url), client.post(url, json={})):
        assert answer.is_json
        assert answer.json["status"] == "error"
        assert "<" not in answer.text
        assert answer.headers["X-Request-ID"]


def test_staff_are_led_back_to_the_dashboard_and_others_to_the_landing_page(
    olivia: PageClient, client: PageClient
) -> None:
    assert 'href="/admin/">Back to the start' in olivia.get("/admin/nowhere").text
    assert 'href="/">Back to the start' in client.get("/nowhere").text


# --- Floods ---


@pytest.mark.gunicorn
def test_a_flood_is_told_how_long_to_wait_and_health_checks_are_not(database_url: str) -> None:
    # In a process of its own: one process has one limit.
    with (
        serve(database_url, workers=1, FLOOD_LIMIT="3 per minute") as url,
        httpx.Client(base_url=url, trust_env=False) as crowd,
    ):
        assert [crowd.get("/login").status_code for _ in range(4)] == [200, 200, 200, 429]
        answer = crowd.get("/login")
        page = Page(answer.text)
        assert TITLES[429] in page.words
        assert "Too many requests." in page.words
        assert page.problems == []
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        answers = [crowd.get("/api/v1/test") for _ in range(4)]
        assert answers[3].status_code == 429
        assert answers[3].json()["status"] == "error"
        assert [crowd.get("/healthz").status_code for _ in range(5)] == [200] * 5


# --- The database is away ---

AWAY = {
    "sqlite": "sqlite:////nowhere/portal.db",
    "postgres": "postgresql://postgres@127.0.0.1:1/portal",
}


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgres",
            marks=pytest.mark.skipif(not POSTGRES, reason="TEST_POSTGRES_URL is not set"),
        ),
    ]
)
def stranded(request: pytest.FixtureRequest) -> Iterator[PageClient]:
    """A browser on a portal whose database is not there."""
    app = create_app(make_settings(AWAY[request.param]))
    app.test_client_class = PageClient
    browser = app.test_client()
    assert isinstance(browser, PageClient)
    yield browser
    with app.app_context():
        db.engine.dispose()


def test_without_its_database_the_portal_says_so_and_when_to_come_back(
    stranded: PageClient,
) -> None:  # case 77
    for answer in (
        stranded.get("/"),
        stranded.submit("/login", {"identity": "a", "password": "b"}),
    ):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert TITLES[503] in words(answer)
        for secret in ("sqlite", "psycopg", "127.0.0.1", "/nowhere/"):
            assert secret not in answer.text


def test_without_its_database_even_who_is_signed_in_is_told_so(
    stranded: PageClient,
) -> None:  # case 77
    with stranded.session_transaction() as session:
        session["_user_id"] = str(uuid4())

    for path in ("/", "/admin/", "/admin/invitations"):
        answer = stranded.get(path)
        assert (answer.status_code, TITLES[503] in words(answer)) == (503, True)


def test_without_its_database_a_fragment_is_a_fragment(stranded: PageClient) -> None:
    answer = stranded.submit(
        "/validation", {"code": "0000-0000-0000"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 503
    assert "<html" not in answer.text


def test_without_its_database_the_process_is_alive_and_not_ready(stranded: PageClient) -> None:
    assert stranded.get("/healthz").status_code == 200
    assert stranded.get("/readyz").status_code == 503


def test_without_its_database_programs_are_answered_in_json(stranded: PageClient) -> None:
    answer = stranded.get("/api/v1/invitation/0000-0000-0000")
    assert answer.status_code == 503
    assert answer.json["status"] == "error"
