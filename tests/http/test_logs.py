"""Logs of real traffic: the contract's fields, and no secret in any of them."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import IntegrityError
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from portal.http.guards import public
from portal.http.headers import LARGEST_UPLOAD
from portal.http.logs import log
from portal.http.redaction import DEEPEST, redacted
from tests import factories, inputs
from tests.factories import PASSWORD, code_of
from tests.pages import PageClient

NOBODY = "01939c3e-0000-7000-8000-000000000000"
MARK = "s3cRet-Mark"
HEADERS = (
    *("Accept", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Device-Id"),
    *("DeviceId", "Forwarded", "Host", "HX-Current-URL", "HX-Prompt", "HX-Target", "If-None-Match"),
    *(
        "Idempotency-Key",
        "mobile-app",
        "Origin",
        "Proxy-Authorization",
        "Referer",
        "Sec-Fetch-Site",
    ),
    *("Secret-Token", "User-Agent", "X-Api-Key", "X-Auth-Token", "X-CSRFToken", "X-Forwarded-For"),
    *("X-Forwarded-Host", "X-Real-IP", "X-Unknown", f"X-{MARK}"),
)
# Names that other programs give to secrets.
JSON = "application/json"
SECRETS = (
    *("new_password", "old_password", "passwd", "pass", "refresh_token", "access_token", "otp"),
    *("pin", "secret", "api_key", "apikey", "authorization", "recovery_codes", "seed", MARK),
)

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def settings_changes() -> dict[str, object]:
    """As in production."""
    return {"log_level": "INFO", "admin_registration": "open"}


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """What was written to standard output since it was asked last: each line is one object."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def register(client: PageClient) -> None:
    """Register olivia by the API."""
    person = {"username": "olivia", "email": "olivia@example.org"}
    passwords = {"password": PASSWORD, "confirm_password": PASSWORD}
    client.post("/api/v1/admin/register", json=person | passwords)


def token(client: PageClient) -> str:
    """Olivia's token."""
    credentials = {"email": "olivia@example.org", "password": PASSWORD}
    answer = client.post("/api/v1/admin/login", json=credentials).get_json()
    return str(answer["data"]["token"])


def test_a_request_is_one_line_in_the_fields_of_the_contract(
    client: PageClient, lines: Lines
) -> None:
    client.get("/api/v1/test?page=1", headers={"X-Request-ID": "abc-1"})

    (line,) = lines()
    assert set(line) == {"level", "msg", "request", "response", "statusCode", "time"}
    assert set(line["request"]) == {"xid", "method", "url", "header", "body"}
    assert line["request"]["xid"] == "abc-1"
    assert line["request"]["url"] == "/api/v1/test?page=1"
    assert line["request"]["header"]["Host"] == ["localhost"]
    assert line["statusCode"] == 200


def test_a_refusal_is_logged_as_an_error_with_its_message(client: PageClient, lines: Lines) -> None:
    client.get("/api/v1/invitation/nobody-knows")

    (line,) = lines()
    assert (line["level"], line["statusCode"]) == ("error", 400)
    assert line["msg"] == "invalid invitation code, try again!"


def test_no_password_token_or_code_reaches_the_log(
    app: Flask, client: PageClient, capsys: pytest.CaptureFixture[str]
) -> None:
    register(client)
    secret = token(client)
    bearer = {"Authorization": f"Bearer {secret}"}
    code = client.post("/api/v1/admin/invitation/generate", headers=bearer).get_json()["data"][
        "code"
    ]
    client.get("/api/v1/admin/invitation/history", headers=bearer)
    client.get(f"/api/v1/invitation/{code}")
    client.post(f"/api/v1/user/login/{code}", headers={"deviceId": "a"})
    client.get(f"/api/v1/user/{code}/nowhere")
    client.get(f"/?code={code}", headers={"Referer": f"http://localhost/?code={code}"})
    client.submit("/", {"code": code})
    client.submit("/login", {"identity": "olivia", "password": PASSWORD})
    client.get(f"/admin/invitations?q={code}")

    written = capsys.readouterr().out
    assert written.count("\n") >= 10
    for hidden in (PASSWORD, secret, secret.split(".")[2], code, code.replace("-", ""), "olivia"):
        assert hidden not in written


def test_a_search_that_signing_in_interrupted_does_not_reach_the_log(
    client: PageClient, capsys: pytest.CaptureFixture[str]
) -> None:
    register(client)
    sign_in = client.get("/admin/invitations?q=K7QM-4TXB-9RWD").location
    assert "K7QM" in sign_in

    client.get(sign_in, headers={"Referer": f"http://localhost{sign_in}"})
    client.submit(sign_in, {"identity": "olivia", "password": PASSWORD})

    written = capsys.readouterr().out
    assert written.count("/login?next=/admin/invitations") >= 2
    assert "K7QM" not in written


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("page=2&status=active", "page=2&status=active"),
        ("page=two&status=secret", "page=<str 3>&status=<str 6>"),
        ("c%6fde=hidden%20thing&code", "code=<str 12>&code="),
        ("CODE=hidden&hidden=1", "<str 4>=<str 6>&<str 6>=<str 1>"),
        ("label=%C3%A9%0a", "label=<str 2>"),
        ("%ff=%ff", "<str 1>=<str 1>"),
    ],
)
def test_of_a_query_only_what_is_harmless_is_logged(
    client: PageClient, lines: Lines, query: str, told: str
) -> None:
    client.get(f"/api/v1/test?{query}")

    (line,) = lines()
    assert line["request"]["url"] == f"/api/v1/test?{told}"


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/activation/secret", "/activation/<str 6>"),
        ("POST", "/usermgmt/check-email/a@example.org", "/usermgmt/check-email/<str 13>"),
        ("GET", "/activation/mail/secret", "<unmatched 23>"),
        ("GET", "/admin/invitations/not-an-id", "<unmatched 28>"),
        ("GET", f"/admin/invitations/{NOBODY}", f"/admin/invitations/{NOBODY}"),
        ("GET", "/admin/requests/approved", "/admin/requests/approved"),
        ("GET", f"/avatars/{'a' * 64}/64", "/avatars/<str 64>/64"),
    ],
)
def test_an_address_is_told_by_its_route(
    client: PageClient, lines: Lines, method: str, path: str, told: str
) -> None:
    client.open(path, method=method)
    client.get("/api/v1/test", headers={"Referer": f"http://localhost{path}?code=secret"})

    asked, referred = lines()
    assert asked["request"]["url"] == told
    assert referred["request"]["header"]["Referer"] == [f"{told}?code=<str 6>"]


@pytest.mark.parametrize(
    "address",
    [
        "http://secret.example/",
        "http://[secret",
        "secret:x",
        "//secret/",
        "http://secret@localhost/",
    ],
)
def test_the_address_of_another_site_is_not_logged(
    client: PageClient, lines: Lines, address: str
) -> None:
    client.get("/api/v1/test", headers={"Referer": address, "HX-Current-URL": address})

    (line,) = lines()
    header = line["request"]["header"]
    assert header["Referer"] == header["Hx-Current-Url"] == [f"<str {len(address)}>"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("User-Agent", "curl/8.5.0", "curl/8.5.0"),
        ("User-Agent", "Mozilla/5.0 (secret) Chrome/120.0.0.0", "Mozilla/5.0 Chrome/120.0.0.0"),
        ("User-Agent", "secret", "<str 6>"),
        ("Content-Type", "multipart/form-data; boundary=secret", "multipart/form-data"),
        ("Host", "secret.example", "<str 14>"),
        ("Sec-Fetch-Site", "same-origin", "same-origin"),
        ("Sec-Fetch-Mode", "secret", "<str 6>"),
        ("X-Forwarded-For", "192.0.2.1, 2001:db8::1", "192.0.2.1, 2001:db8::1"),
        ("X-Forwarded-For", "192.0.2.1, secret", "<str 17>"),
    ],
)
def test_a_header_is_logged_if_it_looks_as_it_should(
    client: PageClient, lines: Lines, name: str, value: str, told: str
) -> None:
    client.get("/api/v1/test", headers={name: value})

    (line,) = lines()
    assert line["request"]["header"][name] == [told]


def test_what_staff_reveal_does_not_reach_the_log(
    app: Flask, client: PageClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with app.app_context():
        invited = factories.invitation(factories.owner())
        code, url = code_of(invited), f"/admin/invitations/{invited.id}/code"
    client.submit("/login", {"identity": "olivia", "password": PASSWORD})

    assert code in client.submit(url).text

    assert code not in capsys.readouterr().out


# case 57
@pytest.mark.parametrize(
    "evil", ["a\nb", "a\r\nb", "a\x1b[31mb", "a\x00b", 'a"}\n{"level":"fatal"}']
)
def test_control_characters_stay_inside_their_string(
    client: PageClient, capsys: pytest.CaptureFixture[str], evil: str
) -> None:
    body = {"email": evil, "password": "x"}
    client.post("/api/v1/admin/login", json=body, query_string={"evil": evil})

    written = capsys.readouterr().out
    (line,) = written.splitlines()
    assert json.loads(line)["request"]["body"]["email"] == f"<str {len(evil)}>"
    assert "\x1b" not in written


def test_a_request_id_that_is_none_is_replaced(client: PageClient, lines: Lines) -> None:
    answer = client.get("/ping", headers={"X-Request-ID": "x y; drop"})

    (line,) = lines()
    assert line["request"]["xid"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-Request-ID"].isalnum()


def test_deep_and_long_things_are_cut_off(app: Flask) -> None:
    deep: Any = "end"
    for _ in range(50):
        deep = {"data": deep}

    with app.app_context():
        assert json.dumps(redacted(deep)).count("data") == DEEPEST
        long = {"label": "x" * 10_000, "ids": [1] * 10_000} | {str(n): n for n in range(10_000)}
        assert len(json.dumps(redacted(long))) < 1000


def test_the_line_of_a_request_looks_like_those_of_other_events(
    client: PageClient, lines: Lines
) -> None:
    client.get("/api/v1/test")
    log.info("something else")

    asked, other = lines()
    assert asked["level"] == other["level"] == "info"
    assert other["msg"] == "something else"
    for line in (asked, other):
        assert line["time"].endswith("Z")
        assert datetime.fromisoformat(line["time"]).tzinfo is UTC


@pytest.mark.parametrize(
    ("size", "told"), [(1000, {"label": "<str 3>"}), (LARGEST_UPLOAD + 1, None)]
)
def test_of_a_strangers_body_no_more_is_read_than_a_picture_may_have(
    client: PageClient, lines: Lines, size: int, told: object
) -> None:
    guests = FileStorage(BytesIO(b"x" * size), "guests.csv", "file")
    boundary, body = encode_multipart({"label": "Tea", "file": guests})
    kind = f"multipart/form-data; boundary={boundary}"

    refused = client.post("/admin/imports", data=body, content_type=kind)

    assert refused.location.startswith("/login")
    assert lines()[-1]["request"]["body"] == told


# case 87
def test_a_marked_secret_in_any_field_or_path_never_reaches_the_log(
    app: Flask, client: PageClient, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [*inputs.field_names(), *SECRETS]
    fields = dict.fromkeys(names, MARK)
    nested = {name: [{name: MARK, "data": {MARK: MARK}}, MARK] for name in names}
    token = client.token()

    for method, path in inputs.routes(app, MARK):
        client.open(path, method=method, query_string=fields)
        client.open(f"{path}/{MARK}", method=method)
        if method != "GET":
            client.open(path, method=method, data=fields | {"csrf_token": token})
            files = {name: (BytesIO(MARK.encode()), MARK) for name in names[:50]}
            client.open(path, method=method, data={MARK: MARK} | files)
            for body in (fields, nested, [MARK, [MARK]], MARK, {MARK: {MARK: MARK}}):
                client.open(path, method=method, json=body)
            client.open(path, method=method, data=f'{{"code": "{MARK}', content_type=JSON)
            client.open(path, method=method, data=MARK, content_type=f"{JSON}; charset={MARK}")

    assert MARK.lower() not in capsys.readouterr().out.lower()


# case 87
@pytest.mark.parametrize("path", ["/", "/nowhere", "/api/v1/test", "/api/v1/nowhere", "/v1/login"])
def test_a_marked_secret_in_any_header_or_method_never_reaches_the_log(
    client: PageClient, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    address = f"http://localhost/activation/{MARK}?code={MARK}&{MARK}#{MARK}"
    for name in HEADERS:
        for value in (MARK, f"Bearer {MARK}", f"{MARK}/1.0.{MARK}", address, f"a={MARK}; b={MARK}"):
            client.get(path, headers={name: value})
            client.post(path, headers={name: value}, data={"code": MARK})
    client.open(path, method=MARK.upper())

    assert MARK.lower() not in capsys.readouterr().out.lower()


@pytest.mark.parametrize(
    "fault",
    [
        ValueError(MARK),
        IntegrityError(MARK, {"code": MARK}, Exception(MARK)),
        SMTPRecipientsRefused({MARK: (550, MARK.encode())}),
        UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, MARK),
    ],
)
def test_a_fault_is_logged_with_its_traceback_and_without_its_message(
    app: Flask, client: PageClient, lines: Lines, fault: Exception
) -> None:
    def break_down() -> None:
        try:
            raise fault
        except Exception as error:
            raise RuntimeError(MARK) from error

    app.add_url_rule("/fault", view_func=public(break_down))
    client.get("/fault")

    told, _ = lines()
    assert "builtins.RuntimeError" in told["exception"]
    assert type(fault).__name__ in told["exception"]
    assert "in break_down" in told["exception"]
    assert MARK not in json.dumps(told)


def test_what_libraries_log_of_a_request_is_told_by_type_and_length(
    app: Flask, capfd: pytest.CaptureFixture[str]
) -> None:
    library = logging.getLogger("gunicorn.error")
    handler = logging.StreamHandler(sys.stderr)
    library.addHandler(handler)
    try:
        library.warning("Invalid request from ip={ip}: {error}".format(ip="::1", error=MARK))
        try:
            raise ValueError(MARK)
        except ValueError:
            library.exception("Error handling request %s %s", "GET", f"/{MARK}")
        library.info("Worker %s came up", "first")
    finally:
        library.removeHandler(handler)

    written = capfd.readouterr().err
    assert "Error handling request <str 3> <str 12>" in written
    assert "builtins.ValueError" in written
    assert MARK not in written
