"""What is no request at all: always the contract's refusal, never a page, never a fault of ours."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from portal.http.headers import LARGEST_BODY
from tests.api.programs import ADMIN, INVITATION, Person, Program, device, refusal

pytestmark = pytest.mark.gunicorn

JSON = "application/json"
INVALID = (400, "invalid request")
NOT_GENERATED = (400, "failed to generate invitation, try again!")

NO_OBJECTS = {
    "null": (JSON, b"null"),
    "a number": (JSON, b"1"),
    "text": (JSON, b'"text"'),
    "an array": (JSON, b"[]"),
    "an array of bodies": (JSON, b'[{"email":"a@b.de","password":"12345AA"}]'),
    "half an object": (JSON, b'{"email":'),
    "two objects": (JSON, b"{}{}"),
    "single quotes": (JSON, b"{'email':'a@b.de'}"),
    "no UTF-8": (JSON, b'{"email":"\xff\xfe"}'),
    "NUL": (JSON, b"\0"),
    "an enormous number": (JSON, b'{"email":' + b"9" * 5000 + b"}"),
    "deep arrays": (JSON, b"[" * 100_000),
    "deep objects": (JSON, b'{"email":' * 50_000 + b"1" + b"}" * 50_000),
    "deep in a field": (JSON, b'{"email":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a form": ("application/x-www-form-urlencoded", b"email=a@b.de&password=12345AA"),
    "plain text": ("text/plain", b'{"email":"a@b.de","password":"12345AA"}'),
    "no type": ("", b'{"email":"a@b.de","password":"12345AA"}'),
    "parts without a boundary": ("multipart/form-data", b"--"),
    "parts": ("multipart/form-data; boundary=x", b"--x\r\n\r\n\r\n--x--"),
    "too much": (JSON, b'{"email":"' + b"a" * LARGEST_BODY + b'"}'),
}
OTHER_OBJECTS = {
    "nothing": (JSON, b""),
    "an empty object": (JSON, b"{}"),
    "UTF-16": (JSON, '{"email":1}'.encode("utf-16")),
    "NUL in a field": (JSON, b'{"email":null,"password":"a\\u0000b"}'),
    "half a character": (JSON, b'{"email":"a@b.de","password":"\\ud800"}'),
    "no number": (JSON, b'{"email":NaN,"password":Infinity}'),
}
BODIES = NO_OBJECTS | OTHER_OBJECTS


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", [f"{ADMIN}/register", f"{ADMIN}/login"])
def test_a_body_that_is_none_is_an_invalid_request(program: Program, path: str, body: str) -> None:
    kind, content = BODIES[body]
    headers = {"Content-Type": kind} if kind else {}

    assert refusal(program.post(path, content=content, headers=headers)) == INVALID


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_generate_and_extend_refuse_a_body_that_is_none(alice: Program, body: str) -> None:
    code = alice.generate()
    kind, content = NO_OBJECTS[body]
    headers = {"Content-Type": kind} if kind else {}
    request: dict[str, Any] = {"content": content, "headers": headers}

    generated = alice.post(f"{INVITATION}/generate", **request)
    assert refusal(generated) in {NOT_GENERATED, INVALID}
    assert refusal(alice.post(f"{INVITATION}/{alice.newest()}/extend", **request)) == INVALID
    assert refusal(alice.post(f"{INVITATION}/{alice.newest()}/revoke", **request)) == INVALID
    headers["deviceId"] = device()
    assert refusal(alice.post(f"/api/v1/user/login/{code}", **request)) == INVALID
    assert alice.history()["paginations"]["total_record"] == 1


@pytest.mark.parametrize("path", [f"{ADMIN}/logout", f"{INVITATION}/generate"])
def test_a_body_nobody_reads_may_be_too_much(alice: Program, path: str) -> None:
    method = "POST" if path.endswith("logout") else "GET"
    too_much = b"x" * (LARGEST_BODY + 1)

    for kind in (JSON, "application/x-www-form-urlencoded", "application/octet-stream"):
        headers = {"Content-Type": kind, "Authorization": "Bearer nonsense"}
        refused = alice.ask(method, path, content=too_much, headers=headers)
        assert refusal(refused) == (401, "unauthorized")
    assert alice.ask(method, path, content=too_much).json()["status"] == "ok"


def test_a_body_may_come_in_chunks(program: Program) -> None:
    def chunks() -> Iterator[bytes]:
        text = json.dumps(Person().registration).encode()
        yield text[:10]
        yield text[10:]

    answer = program.post(f"{ADMIN}/register", content=chunks(), headers={"Content-Type": JSON})

    assert answer.json() == {"status": "ok", "message": "success", "data": None}


def test_a_body_in_chunks_may_not_be_too_much(program: Program) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"email":"'
        for _ in range(LARGEST_BODY // 4096 + 1):
            yield b"a" * 4096

    answer = program.post(f"{ADMIN}/login", content=chunks(), headers={"Content-Type": JSON})

    assert refusal(answer) == INVALID


def test_fields_that_nobody_asked_for_are_ignored(program: Program) -> None:
    person = Person()
    extra = {"role": "owner", "is_admin": True, "id": 1}

    assert program.post(f"{ADMIN}/register", json=person.registration | extra).is_success


# case 69
def test_a_password_of_a_megabyte_is_an_invalid_request(program: Program) -> None:
    body = Person().credentials | {"password": "a" * 1_000_000}

    assert refusal(program.post(f"{ADMIN}/login", json=body)) == INVALID


# case 42
@pytest.mark.parametrize("email", [["a@b.de"], {"a": "b"}, True, 1, 1.5, None])
def test_an_address_is_text(program: Program, email: object) -> None:
    body = Person().credentials | {"email": email}

    assert refusal(program.post(f"{ADMIN}/login", json=body)) == INVALID


# case 72
@pytest.mark.parametrize("email", ["a" * 100_000 + "@b.de", "a@" + "b." * 400_000 + "de"])
def test_an_address_of_any_length_is_an_invalid_request(program: Program, email: str) -> None:
    body = Person().credentials | {"email": email}

    assert refusal(program.post(f"{ADMIN}/login", json=body)) == INVALID


@pytest.mark.parametrize("path", ["%00", "%ff%fe", "%ED%A0%80", "a%0d%0ab", "%2e%2e", "a" * 2000])
def test_a_code_may_be_anything_that_fits_into_a_path(program: Program, path: str) -> None:
    refused = program.get(f"/api/v1/invitation/{path}")

    assert refusal(refused) == (400, "invalid invitation code, try again!")


@pytest.mark.parametrize(
    "end",
    [
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"expires_at": "0001-01-01T00:00:00+14:00"},
        {"expires_at": "2999-12-31T00:00:00"},
        {"expires_at": "tomorrow"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": 1e18},
        {"expires_at": True},
        {"expires_in_days": 0},
        {"expires_in_days": "7"},
    ],
)
def test_an_end_that_cannot_be_is_an_invalid_request(
    alice: Program, end: dict[str, object]
) -> None:
    alice.generate()

    refused = alice.post(f"{INVITATION}/{alice.newest()}/extend", json=end)

    assert refusal(refused) == INVALID


@pytest.mark.parametrize("address", ["http://[x", "http://x:y:z", "//", "http://x/\u00ff?\u00ff"])
def test_an_address_that_is_none_in_a_header_breaks_nothing(program: Program, address: str) -> None:
    headers = {"Referer": address.encode("latin-1"), "HX-Current-URL": address.encode("latin-1")}

    assert program.get("/ping", headers=headers).json()["message"] == "pong!"


@pytest.mark.parametrize("value", [b"", b" ", b"\t"])
def test_a_device_without_a_name_is_none(service: str, value: bytes) -> None:
    """By hand: a proper client would not send such a header."""
    host = urlsplit(service)
    with socket.create_connection((host.hostname, host.port), timeout=30) as connection:
        connection.sendall(
            b"POST /api/v1/user/login/x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            b"Content-Length: 0\r\ndeviceId: " + value + b"\r\n\r\n"
        )
        answer = b"".join(iter(lambda: connection.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b'"invalid deviceId, please reinstall apps!"' in answer


def test_a_name_that_is_not_ours_is_an_invalid_request(program: Program) -> None:
    assert refusal(program.get("/api/v1/test", headers={"Host": "evil.example"})) == INVALID
