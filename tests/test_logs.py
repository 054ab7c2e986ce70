"""Logs of real traffic: the contract's fields, and no secret in any of them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from portal.logs import log, masked
from portal.security import LARGEST_UPLOAD
from tests import factories
from tests.factories import PASSWORD, code_of
from tests.pages import PageClient

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
    for hidden in (PASSWORD, secret, secret.split(".")[2], code, code.replace("-", "")):
        assert hidden not in written
    assert "olivia" in written


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
    assert masked({"next": sign_in}) == {"next": "/login"}


@pytest.mark.parametrize("name", ["%63ode", "CODE", "co%64%65", "q", "user_token"])
def test_a_secret_in_the_address_is_found_however_its_name_is_written(
    client: PageClient, lines: Lines, name: str
) -> None:
    client.get(f"/api/v1/test?a=b+c&{name}=hidden%20thing&{name}&c=%C3%A9")

    (line,) = lines()
    assert line["request"]["url"] == f"/api/v1/test?a=b+c&{name}=***&{name}=***&c=%C3%A9"


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
    assert json.loads(line)["request"]["body"]["email"] == evil
    assert "\x1b" not in written


def test_a_request_id_that_is_none_is_replaced(client: PageClient, lines: Lines) -> None:
    answer = client.get("/ping", headers={"X-Request-ID": "x y; drop"})

    (line,) = lines()
    assert line["request"]["xid"] == answer.headers["X-Request-ID"]
    assert answer.headers["X-Request-ID"].isalnum()


def test_deep_and_long_things_are_cut_off() -> None:
    deep: Any = "end"
    for _ in range(50):
        deep = {"deeper": deep}

    assert "end" not in json.dumps(masked(deep))
    assert len(json.dumps(masked({"text": "x" * 10_000, "list": [1] * 10_000}))) < 300


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


@pytest.mark.parametrize(("size", "told"), [(1000, {"label": "Tea"}), (LARGEST_UPLOAD + 1, None)])
def test_of_a_strangers_body_no_more_is_read_than_a_picture_may_have(
    client: PageClient, lines: Lines, size: int, told: object
) -> None:
    guests = FileStorage(BytesIO(b"x" * size), "guests.csv", "file")
    boundary, body = encode_multipart({"label": "Tea", "file": guests})
    kind = f"multipart/form-data; boundary={boundary}"

    refused = client.post("/admin/imports", data=body, content_type=kind)

    assert refused.location.startswith("/login")
    assert lines()[-1]["request"]["body"] == told
