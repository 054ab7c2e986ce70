"""Headers, cookies, forms of other sites, hosts, proxies and sizes."""

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.datastructures import Headers

from portal.config import Settings
from portal.domain.invitations import codes
from portal.http import headers as security
from portal.http.headers import CONTENT_FOR_EVER
from portal.models import AuditEvent, Invitation, Redemption
from tests import inputs
from tests.pages import PageClient, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]

HTTPS = {"public_url": "https://invite.example.org"}
THERE = "https://invite.example.org"


def cookies(headers: Headers) -> dict[str, str]:
    """The cookies an answer sets, each with its attributes."""
    return {line.partition("=")[0]: line for line in headers.getlist("Set-Cookie")}


# --- Headers ---


@pytest.mark.parametrize("url", ["/", "/login", "/nowhere", "/api/docs"])
def test_every_page_carries_the_headers(client: PageClient, url: str) -> None:
    headers = client.get(url).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("frame-ancestors") == policy.pop("base-uri") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize("url", ["/healthz", "/api/v1/test", "/api/v1/nowhere", "/v1/login"])
def test_every_answer_to_a_program_carries_its_headers(client: PageClient, url: str) -> None:
    headers = client.get(url).headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_every_page_whose_address_is_a_secret_sends_no_referrer(
    app: Flask, client: PageClient
) -> None:
    secret = "a" * 64
    paths = {path for _, path in inputs.routes(app, secret) if secret in path} - {
        f"/static/{secret}"
    }
    assert f"/activation/{secret}" in paths
    links = {"/?code=K7QM-4TXB-9RWD", "/signup?code=x", "/login?next=/admin/invitations?q=K7QM"}

    for path in paths | links:
        for method in ("GET", "POST"):
            answer = client.open(path, method=method)
            if answer.status_code == 405:
                continue
            assert answer.headers["Referrer-Policy"] == "no-referrer", path
            if "<html" in answer.text:
                assert '<meta name="referrer" content="strict-origin">' in answer.text, path


def test_the_policy_allows_nothing_inline_and_no_eval(client: PageClient) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "http" not in policy


def test_pages_tell_htmx_to_keep_to_the_policy(client: PageClient) -> None:
    html = client.get("/").text
    for setting in ('"allowEval": false', '"includeIndicatorStyles": false'):
        assert setting in html
    assert '"historyCacheSize": 0' in html


def test_pages_with_codes_are_kept_by_nobody(
    olivia: PageClient, issue: Issue
) -> None:  # cases 33, 34
    issued = issue()
    for answer in (
        olivia.get("/admin/invitations"),
        olivia.get("/admin/invitations/history"),
        olivia.get("/admin/invitations/history", headers={"HX-Request": "true"}),
        olivia.submit(f"{issued.page}/code"),
        olivia.submit(f"{issued.page}/code/fragment"),
        olivia.get(f"/?code={issued.code}"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"


def test_assets_are_kept_for_long_under_an_address_of_their_content(client: PageClient) -> None:
    html = client.get("/").text
    for url in re.findall(r'(?:href|src)="(/static/[^"]+)"', html):
        assert re.search(r"\?v=[0-9a-f]{10}$", url)
        with client.get(url) as answer:
            assert answer.status_code == 200
            assert "max-age=31536000" in answer.headers["Cache-Control"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["../wsgi.py", "%2e%2e/wsgi.py", "..%5cwsgi.py", "css/"])
def test_nothing_but_assets_is_served_as_one(client: PageClient, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


# --- Cookies ---


def test_cookies_are_out_of_the_reach_of_scripts_and_other_sites(client: PageClient) -> None:
    found = cookies(client.get("/").headers)
    assert set(found) == {"session", "device"}
    for cookie in found.values():
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/" in cookie
        assert "Domain" not in cookie
        assert "Secure" not in cookie


@pytest.mark.parametrize("settings_changes", [HTTPS])
def test_over_https_cookies_belong_to_this_host_alone(client: PageClient) -> None:
    answer = client.get("/", base_url=THERE)
    found = cookies(answer.headers)
    assert set(found) == {"__Host-session", "__Host-device"}
    assert all("Secure" in cookie for cookie in found.values())
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_made_up_device_is_a_new_device(client: PageClient) -> None:
    client.set_cookie("device", "ImFiYyI.made-up")
    assert "device" in cookies(client.get("/").headers)


def test_a_known_device_is_given_no_second_cookie(client: PageClient) -> None:
    client.get("/")
    assert "device" not in cookies(client.get("/").headers)


def test_a_made_up_session_is_nobody(client: PageClient) -> None:
    client.set_cookie("session", "eyJfdXNlcl9pZCI6IjEifQ.made.up")
    assert client.get("/admin/").status_code == 303


# --- Forms of other sites ---


def test_a_form_without_its_token_is_refused(
    client: PageClient, olivia: PageClient, issue: Issue, ask: Ask
) -> None:  # case 30
    issued = issue()
    for browser, url, data in (
        (client, "/", {"code": issued.code}),
        (client, "/validation", {"code": issued.code}),
        (client, "/login", {"identity": "olivia", "password": "x"}),
        (olivia, "/logout", {}),
        (olivia, "/admin/invitations", {"label": "x", "validity": "never", "uses": "one"}),
        (olivia, f"{issued.page}/revocation", {}),
        (olivia, f"{issued.page}/code", {}),
    ):
        for headers in ({}, {"HX-Request": "true"}):
            for token in ({}, {"csrf_token": "made-up"}):
                answer = browser.post(url, data=data | token, headers=headers)
                assert answer.status_code == 400
                assert "This form has grown old" in words(answer)
    assert ask(sa.select(Redemption.id)) == []
    assert ask(sa.select(Invitation.revoked_at)) == [None]


def test_the_token_of_another_browser_is_refused(client: PageClient, newcomer: Newcomer) -> None:
    stolen = newcomer().token()
    client.get("/")
    answer = client.post("/", data={"csrf_token": stolen, "code": "x"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost:81"],
)
@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_form_of_a_foreign_origin_is_refused_even_with_its_token(
    olivia: PageClient, issue: Issue, ask: Ask, origin: str, headers: dict[str, str]
) -> None:  # case 30
    issued = issue()
    for url in ("/", "/validation", "/logout", f"{issued.page}/revocation"):
        answer = olivia.submit(url, {"code": issued.code}, headers=headers | {"Origin": origin})
        assert answer.status_code == 403
        assert "not sent from the portal" in words(answer)
    assert ask(sa.select(Invitation.revoked_at)) == [None]
    assert ask(sa.select(Redemption.id)) == []


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost"}])
def test_a_form_of_our_own_is_taken(
    client: PageClient, issue: Issue, headers: dict[str, str]
) -> None:
    assert client.submit("/", {"code": issue().code}, headers=headers).status_code == 303


@pytest.mark.parametrize(
    "verb", ["/logout", "/welcome/departure", "/validation", "/admin/tokens/{}/revocation"]
)
def test_what_changes_something_answers_to_no_get(olivia: PageClient, verb: str) -> None:
    nobody = "01939c3e-0000-7000-8000-000000000000"
    assert olivia.get(verb.format(nobody)).status_code == 405  # case 31


def test_a_get_redeems_and_revokes_nothing(
    olivia: PageClient, newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:  # case 31
    issued = issue()
    newcomer().get(f"/?code={issued.code}&csrf_token=x")
    olivia.get(f"{issued.page}/revocation?end_sessions=y")
    assert olivia.get(f"{issued.page}/code").status_code == 405
    assert ask(sa.select(Invitation.revoked_at)) == [None]
    assert ask(sa.select(Redemption.id)) == []
    for method in ("PUT", "DELETE", "PATCH"):
        assert olivia.open(f"{issued.page}/revocation", method=method).status_code == 405


# --- Hosts and proxies ---


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "evil@localhost", "a b"]
)
@pytest.mark.parametrize("url", ["/", "/login", "/healthz", "/nowhere", "/api/v1/test"])
def test_a_host_that_is_not_ours_is_refused(
    client: PageClient, host: str, url: str
) -> None:  # case 67
    answer = client.get(url, headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_links_carry_our_own_address_whatever_a_proxy_says(
    olivia: PageClient, issue: Issue
) -> None:  # case 41
    answer = olivia.submit(f"{issue().page}/code", headers={"X-Forwarded-Host": "evil.example"})
    assert "http://localhost/?code=" in answer.text
    assert "evil" not in answer.text


def addresses(ask: Ask) -> set[str]:
    """Where the wrong codes in the audit log came from."""
    return set(ask(sa.select(AuditEvent.address).where(AuditEvent.action == "code.refused")))


FORGED = {
    "X-Forwarded-For": "198.51.100.7",
    "X-Real-IP": "198.51.100.7",
    "Forwarded": "for=198.51.100.7",
}


def test_who_trusts_no_proxy_believes_none(client: PageClient, ask: Ask) -> None:  # case 10
    client.submit("/", {"code": codes.draw()}, headers=FORGED)
    assert addresses(ask) == {"127.0.0.1"}


@pytest.mark.parametrize("settings_changes", [{"trusted_proxies": 1}])
def test_one_trusted_proxy_is_believed_its_last_word_only(client: PageClient, ask: Ask) -> None:
    headers = FORGED | {"X-Forwarded-For": "203.0.113.1, 198.51.100.7"}
    client.submit("/", {"code": codes.draw()}, headers=headers)
    assert addresses(ask) == {"198.51.100.7"}


@pytest.mark.parametrize("settings_changes", [{"trusted_proxies": 2}])
def test_two_trusted_proxies_are_believed_two_words(client: PageClient, ask: Ask) -> None:
    headers = {"X-Forwarded-For": "192.0.2.1, 203.0.113.1, 198.51.100.7"}
    client.submit("/", {"code": codes.draw()}, headers=headers)
    assert addresses(ask) == {"203.0.113.1"}


@pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 3}])
def test_rotating_the_headers_of_a_proxy_wins_no_tries(newcomer: Newcomer) -> None:  # case 10
    statuses = [
        newcomer()
        .submit("/", {"code": codes.draw()}, headers={"X-Forwarded-For": f"198.51.100.{number}"})
        .status_code
        for number in range(5)
    ]
    assert statuses == [422, 422, 422, 429, 429]


@pytest.mark.parametrize("settings_changes", [HTTPS | {"trusted_proxies": 1}])
def test_a_proxy_that_ends_https_is_believed(client: PageClient) -> None:
    headers = {"X-Forwarded-Proto": "https", "Origin": THERE}
    token = re.findall(
        r'name="csrf_token"[^>]*value="([^"]+)"',
        client.get("/login", base_url=THERE, headers=headers).text,
    )[0]
    answer = client.post(
        "/", base_url=THERE, headers=headers, data={"csrf_token": token, "code": codes.draw()}
    )
    assert answer.status_code == 422


# --- Sizes ---


def test_a_huge_body_is_refused(client: PageClient) -> None:  # case 68
    for url in ("/", "/login", "/validation"):
        answer = client.post(url, data={"code": "x" * 1024 * 1024})
        assert answer.status_code == 413


@pytest.mark.parametrize(("size", "status"), [(1000, 422), (2_000_000, 413)])
def test_a_body_of_unknown_length_is_measured(
    client: PageClient, size: int, status: int
) -> None:  # case 68
    body = f"csrf_token={client.token()}&code={'x' * size}".encode()
    answer = client.post(
        "/",
        input_stream=io.BytesIO(body),
        content_type="application/x-www-form-urlencoded",
        environ_overrides={
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
            "CONTENT_LENGTH": "",
        },
    )
    assert answer.status_code == status


def test_a_form_of_ten_thousand_parts_is_refused(client: PageClient) -> None:  # case 68
    part = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    answer = client.post(
        "/", data=part * 10_000 + "--x--\r\n", content_type="multipart/form-data; boundary=x"
    )
    assert answer.status_code == 413


def test_bytes_that_are_no_text_are_400(client: PageClient) -> None:
    for url in ("/", "/login", "/register", "/nowhere"):
        answer = client.get(url, environ_overrides={"QUERY_STRING": "code=\xff"})
        assert answer.status_code in {400, 403, 404} or url == "/login"


def test_a_code_of_a_hundred_kilobytes_is_only_refused(client: PageClient, app: Flask) -> None:
    answer = client.submit("/", {"code": "\uff21" * 30_000})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("path", "status", "said", "kept"),
    [
        ("/static/a.css", 200, "public, max-age=31536000", True),
        ("/static/a.css", 304, "public, max-age=31536000", True),
        ("/static/a.css", 404, "public, max-age=31536000", False),
        ("/avatars/1", 200, CONTENT_FOR_EVER, True),
        ("/avatars/1", 500, CONTENT_FOR_EVER, False),
        ("/admin/export", 200, "public, max-age=31536000", False),
        ("/admin/export", 200, "no-cache", False),
    ],
)
def test_no_view_can_have_its_answer_kept_by_accident(
    path: str, status: int, said: str, kept: bool
) -> None:
    app = Flask(__name__, static_folder=None)
    app.extensions["portal.settings"] = Settings(_env_file=None)
    security.init_app(app)
    app.add_url_rule("/<path:_any>", "view", lambda _any: ("", status, {"Cache-Control": said}))

    answer = app.test_client().get(path)

    assert answer.headers.getlist("Cache-Control") == [said if kept else "no-store"]
