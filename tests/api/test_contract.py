"""The document of the former invitation service, example by example and row by row."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from flask import Flask

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Invitation
from tests.api.conftest import CONTRACT
from tests.api.programs import (
    ADMIN,
    INVITATION,
    Person,
    Program,
    admin,
    data,
    device,
    refusal,
    sign_in,
)
from tests.servers import serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.pooler]

# RFC 3339 with offset, as in the document: "2022-07-18T17:17:34+07:00", with or without a fraction.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?[+-]\d\d:\d\d")

# The document's requests to the letter, but for the tokens in them.
REGISTER = """curl --location --request POST 'localhost:8000/api/v1/admin/register' \
--header 'Content-Type: application/json' \
--data-raw '{
    "username" : "testuser",
    "email" : "testuser@gmail.com",
    "password" : "12345AA",
    "confirm_password" : "12345AA"
}'"""
LOGIN = """curl --location --request POST 'localhost:8000/api/v1/admin/login' \
--header 'Content-Type: application/json' \
--data-raw '{
    "email": "testuser@gmail.com",
    "password": "12345AA"
}'"""
GENERATE = """curl --location --request GET 'localhost:8000/api/v1/admin/invitation/generate' \
--header 'Authorization: Bearer TOKEN'"""
HISTORY = """curl --location --request GET \
'localhost:8000/api/v1/admin/invitation/history?page=1&size=5' \
--header 'Authorization: Bearer TOKEN'"""
VALIDATE = "curl --location --request GET 'localhost:8000/api/v1/invitation/CODE'"


def curl(url: str, command: str) -> httpx.Response:
    """Send what this curl command would send, to the portal at `url`."""
    words = shlex.split(command)
    headers, body = {}, None
    for option, value in pairwise(words):
        if option == "--header":
            name, _, headers[name] = value.partition(": ")
        elif option == "--data-raw":
            body = value.encode()
    target = next(word for word in words if word.startswith("localhost:8000"))
    return httpx.request(
        words[words.index("--request") + 1],
        target.replace("localhost:8000", url),
        headers=headers,
        content=body,
        trust_env=False,
    )


def test_the_examples_of_the_document_run_as_they_stand(database_url: str) -> None:
    with serve(database_url, workers=1, **CONTRACT) as url:
        registered, again = curl(url, REGISTER), curl(url, REGISTER)
        signed_in = curl(url, LOGIN)
        refused = curl(url, LOGIN.replace("12345AA", "12345AB"))
        token = signed_in.json()["data"]["token"]
        generated = [curl(url, GENERATE.replace("TOKEN", token)) for _ in range(6)]
        history = curl(url, HISTORY.replace("TOKEN", token))
        lost = curl(url, HISTORY.replace("TOKEN", token).replace("size=5", "size=0"))
        code = generated[-1].json()["data"]["code"]
        validated = curl(url, VALIDATE.replace("CODE", code))
        unknown = curl(url, VALIDATE.replace("CODE", "ocnfnZ7xuqU"))

    assert (registered.status_code, registered.json()) == (
        200,
        {"status": "ok", "message": "success", "data": None},
    )
    assert refusal(again) == (400, "user already exist")
    assert list(data(signed_in)) == ["token", "expiredAt"]
    assert refusal(refused) == (400, "email or password doesn't match!")
    assert list(data(generated[0])) == ["code", "status", "expired_at"]
    assert data(history)["paginations"] == {
        "page": 1,
        "size": 5,
        "total_record": 6,
        "total_page": 2,
    }
    assert data(history)["data"][0]["code"] == code
    assert len(data(history)["data"]) == 5
    assert refusal(lost) == (400, "failed to get invitation, try again!")
    assert data(validated) == data(generated[-1])
    assert refusal(unknown) == (400, "invalid invitation code, try again!")


def test_the_log_of_the_document_tells_the_story_of_two_devices(alice: Program) -> None:
    code, first, second = alice.generate(), device(), device()

    assert data(alice.redeem(code, first)) == "Login Successful"
    assert data(alice.redeem(code, first)) == "Login Successful"  # the same device, again
    assert refusal(alice.redeem(code + "x", second)) == _wrong(2)
    assert refusal(alice.redeem(code + "x", second)) == _wrong(1)
    assert _is_locked(alice.redeem(code + "x", second))
    assert _is_locked(alice.redeem(code, second))


def test_an_answer_gives_its_fields_in_the_order_of_the_document(
    program: Program, signed_in: tuple[Program, Person]
) -> None:
    alice, person = signed_in
    code = alice.generate()

    login = program.post(f"{ADMIN}/login", json=person.credentials)
    assert re.fullmatch(
        r'\{"status":"ok","message":"success","data":\{"token":"[^"]+","expiredAt":"[^"]+"\}\}\s*',
        login.text,
    )
    assert program.get("/ping").text.strip() == '{"status":"ok","message":"pong!"}'
    history = alice.history()
    assert list(history) == ["paginations", "data"]
    assert list(history["paginations"]) == ["page", "size", "total_record", "total_page"]
    fields = ["id", "code", "status", "created_by", "created_at", "expired_at"]
    assert list(history["data"][0]) == fields
    validated = program.get(f"/api/v1/invitation/{code}")
    assert list(data(validated)) == ["code", "status", "expired_at"]


def test_ping_and_test_answer_everybody(program: Program) -> None:
    assert program.get("/ping").json() == {"status": "ok", "message": "pong!"}
    assert program.get("/api/v1/test").json() == "server Up!"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/"),
        ("GET", "/api/v1/nothing"),
        ("POST", "/api/v2/admin/login"),
        ("GET", "/api/v1/admin/invitation/not-an-id"),
        ("GET", "/api/v1/admin/login"),
        ("DELETE", "/api/v1/admin/register"),
        ("GET", "/api/v1/admin/logout"),
        ("GET", "/api/v1/user/login/abc"),
        ("PUT", "/api/v1/invitation/abc"),
        ("GET", "/api/v1/invitation/a/b"),
        ("POST", "/api/v1/admin/invitation/history"),
        ("POST", "/ping"),
    ],
)
def test_an_unknown_path_or_method_is_not_allowed(program: Program, method: str, path: str) -> None:
    assert refusal(program.ask(method, path)) == (405, "method not allowed!")


# Register


def test_a_registered_admin_may_sign_in(program: Program) -> None:
    person = Person()

    assert data(program.post(f"{ADMIN}/register", json=person.registration)) is None
    assert sign_in(program, person)


@pytest.mark.parametrize("missing", ["username", "email", "password", "confirm_password"])
@pytest.mark.parametrize("instead", ["nothing", "", None, 1, ["a"]])
def test_registering_takes_four_fields_of_text(
    program: Program, missing: str, instead: object
) -> None:
    body = Person().registration
    if instead == "nothing":
        del body[missing]
    else:
        body[missing] = instead

    assert refusal(program.post(f"{ADMIN}/register", json=body)) == (400, "invalid request")


def test_registering_takes_the_same_password_twice(program: Program) -> None:
    body = Person().registration | {"confirm_password": "12345AB"}

    refused = program.post(f"{ADMIN}/register", json=body)

    assert refusal(refused) == (400, "password doesn't match")


@pytest.mark.parametrize("email", ["nobody", "a@", "@b.de", "a@b", "a b@c.de", "a@b.de,c@d.de"])
def test_registering_takes_an_address(program: Program, email: str) -> None:
    body = Person().registration | {"email": email}

    assert refusal(program.post(f"{ADMIN}/register", json=body)) == (400, "invalid email")


@pytest.mark.parametrize("field", ["username", "email"])
def test_a_name_or_an_address_is_taken_once_in_whatever_case(program: Program, field: str) -> None:
    person, other = Person(), Person()
    data(program.post(f"{ADMIN}/register", json=person.registration))
    body = other.registration | {field: str(person.registration[field]).upper()}

    assert refusal(program.post(f"{ADMIN}/register", json=body)) == (400, "user already exist")


# Login


def test_the_token_carries_the_claims_of_the_document(
    program: Program, signed_in: tuple[Program, Person]
) -> None:
    alice, person = signed_in
    answer = data(program.post(f"{ADMIN}/login", json=person.credentials))

    header = jwt.get_unverified_header(answer["token"])
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    alice.generate()
    assert header == {"alg": "HS256", "kid": header["kid"], "typ": "JWT"}
    assert re.fullmatch(r"[0-9a-f]{16}", header["kid"])
    assert set(claims) == {"exp", "iss", "id", "username", "email", "role", "jti", "iat"}
    assert claims["iss"] == "apps1.0"
    assert claims["id"] == alice.history()["data"][0]["created_by"]
    assert (claims["username"], claims["email"]) == (person.username, person.email)
    assert claims["role"] == "admin"
    assert claims["exp"] - claims["iat"] == 60 * 60
    assert TIME.fullmatch(answer["expiredAt"])
    assert datetime.fromisoformat(answer["expiredAt"]) == datetime.fromtimestamp(claims["exp"], UTC)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"email": ""}, "invalid request"),
        ({"password": ""}, "invalid request"),
        ({"email": None}, "invalid request"),
        ({"password": 1234567}, "invalid request"),
        ({"email": "nobody"}, "invalid email"),
        ({"email": "nobody@gmail.com"}, "email or password doesn't match!"),
        ({"password": "12345AB"}, "email or password doesn't match!"),
        ({"password": "1" * 300}, "email or password doesn't match!"),
    ],
)
def test_a_sign_in_is_refused_in_the_words_of_the_document(
    signed_in: tuple[Program, Person], changes: dict[str, object], message: str
) -> None:
    alice, person = signed_in

    refused = alice.post(f"{ADMIN}/login", json=person.credentials | changes)

    assert refusal(refused) == (400, message)


def test_an_address_signs_in_in_whatever_case(signed_in: tuple[Program, Person]) -> None:
    alice, person = signed_in

    answer = alice.post(f"{ADMIN}/login", json=person.credentials | {"email": person.email.upper()})

    assert data(answer)["token"]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer a.b.c"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{INVITATION}/generate"),
        ("POST", f"{INVITATION}/generate"),
        ("GET", f"{INVITATION}/history"),
        ("POST", f"{ADMIN}/logout"),
    ],
)
def test_without_a_good_token_nobody_is_authorized(
    program: Program, method: str, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}

    assert refusal(program.ask(method, path, headers=headers)) == (401, "unauthorized")


def test_the_scheme_is_read_in_any_case(alice: Program) -> None:
    headers = {"Authorization": f"bearer {alice.token}"}

    assert data(alice.get(f"{INVITATION}/history", headers=headers))


# Generate


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_code_is_active_for_seven_days(alice: Program, method: str) -> None:
    before = utcnow()
    issued = data(alice.ask(method, f"{INVITATION}/generate"))

    assert issued["status"] == "active"
    assert TIME.fullmatch(issued["expired_at"])
    week = timedelta(days=7)
    assert before + week <= datetime.fromisoformat(issued["expired_at"]) <= utcnow() + week


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_generate_takes_options(alice: Program, method: str) -> None:
    options = {"max_uses": 2, "expires_in_days": 30, "label": "Open day"}
    place = "params" if method == "GET" else "json"

    issued = data(alice.ask(method, f"{INVITATION}/generate", **{place: options}))

    shown = data(alice.get(f"{INVITATION}/{alice.newest()}"))
    assert (shown["code"], shown["label"], shown["max_uses"]) == (issued["code"], "Open day", 2)
    assert _days_until(issued["expired_at"]) == 30


def test_post_takes_its_options_from_the_query_too(alice: Program) -> None:
    issued = data(alice.post(f"{INVITATION}/generate", params={"expires_in_days": 1}))

    assert _days_until(issued["expired_at"]) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"max_uses": 0},
        {"max_uses": -1},
        {"max_uses": 1_000_001},
        {"max_uses": "many"},
        {"max_uses": True},
        {"max_uses": 1.5},
        {"expires_in_days": 0},
        {"expires_in_days": 3651},
        {"label": "a" * 121},
        {"label": "two\nlines"},
        {"label": "NUL\0"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_options_that_do_not_fit_generate_nothing(
    alice: Program, method: str, options: dict[str, object]
) -> None:
    place = "params" if method == "GET" else "json"

    refused = alice.ask(method, f"{INVITATION}/generate", **{place: options})

    assert refusal(refused) == (400, "failed to generate invitation, try again!")
    assert alice.history()["paginations"]["total_record"] == 0


def test_a_number_in_text_is_one_in_a_query_only(alice: Program) -> None:
    assert alice.get(f"{INVITATION}/generate", params={"max_uses": "2"}).status_code == 200
    assert alice.post(f"{INVITATION}/generate", json={"max_uses": "2"}).status_code == 400
    for text in ("2.0", "1_0", " 2", "+2", "²"):
        refused = alice.get(f"{INVITATION}/generate", params={"max_uses": text})
        assert refused.status_code == 400, text


# Validate


def test_a_code_is_validated_in_whatever_way_it_is_written(alice: Program) -> None:
    code = alice.generate()

    for written in (code, code.lower(), code.replace("-", ""), f" {code} "):
        assert data(alice.get(f"/api/v1/invitation/{written}"))["code"] == code


def test_validating_costs_no_try(alice: Program) -> None:
    code, name = alice.generate(), {"deviceId": device()}
    for _ in range(5):
        refused = alice.get("/api/v1/invitation/ocnfnZ7xuqU", headers=name)
        assert refusal(refused) == (400, "invalid invitation code, try again!")

    assert data(alice.redeem(code, name["deviceId"])) == "Login Successful"


@pytest.mark.parametrize("end", ["used", "expired", "revoked", "scheduled"])
def test_a_code_that_lets_nobody_in_is_invalid(alice: Program, behind: Flask, end: str) -> None:
    code = alice.generate()
    _bring_to_its_end(alice, end, code)

    refused = alice.get(f"/api/v1/invitation/{code}")

    assert refusal(refused) == (400, "invalid invitation code, try again!")
    assert refusal(alice.redeem(code, device())) == _wrong(2)


# Login with a code


@pytest.mark.parametrize("headers", [{}, {"deviceId": ""}, {"device-id": "x"}])
def test_a_device_must_say_which_it_is(alice: Program, headers: dict[str, str]) -> None:
    refused = alice.post(f"/api/v1/user/login/{alice.generate()}", headers=headers)

    assert refusal(refused) == (405, "invalid deviceId, please reinstall apps!")


@pytest.mark.parametrize("name", ["deviceId", "deviceid", "DEVICEID", "Deviceid"])
def test_the_header_is_read_in_any_case(alice: Program, name: str) -> None:
    answer = alice.post(f"/api/v1/user/login/{alice.generate()}", headers={name: device()})

    assert data(answer) == "Login Successful"


def test_a_code_admits_one_device_unless_told_otherwise(alice: Program) -> None:
    code = alice.generate()

    assert data(alice.redeem(code, device())) == "Login Successful"
    assert refusal(alice.redeem(code, device())) == _wrong(2)


def test_a_code_admits_as_many_devices_as_it_has_uses(alice: Program) -> None:
    code = alice.generate(max_uses=2)

    assert data(alice.redeem(code, device())) == "Login Successful"
    assert data(alice.redeem(code, device())) == "Login Successful"
    assert refusal(alice.redeem(code, device())) == _wrong(2)


def test_a_device_coming_back_uses_nothing_up(alice: Program) -> None:
    code, first = alice.generate(max_uses=2), device()
    for _ in range(3):
        assert data(alice.redeem(code, first)) == "Login Successful"

    shown = data(alice.get(f"{INVITATION}/{alice.newest()}"))
    assert (shown["uses"], len(shown["redemptions"])) == (1, 1)
    assert data(alice.redeem(code, device())) == "Login Successful"


def test_an_invitation_bound_to_an_address_takes_it_in_the_body(
    alice: Program, behind: Flask
) -> None:
    code, path = alice.generate(), "/api/v1/user/login/"
    _newest(alice).recipient = "anna@example.org"
    db.session.commit()

    def send(**body: object) -> httpx.Response:
        return alice.post(path + code, headers={"deviceId": "anna's" + code}, json=body)

    assert refusal(send())[0] == 400
    assert refusal(send(email="bob@example.org")) == _wrong(2)
    assert data(send(email="Anna@example.org")) == "Login Successful"


# History


def test_the_history_is_ones_own_newest_first(alice: Program, service: str) -> None:
    bob, _ = admin(service)
    bob.generate()
    codes = [alice.generate() for _ in range(6)]

    history = alice.history()

    assert [row["code"] for row in history["data"]] == codes[:0:-1]
    claims = jwt.decode(alice.token, options={"verify_signature": False})
    for row in history["data"]:
        assert row["created_by"] == claims["id"]
        assert UUID(row["id"])
        assert TIME.fullmatch(row["created_at"])
        assert TIME.fullmatch(row["expired_at"])
    assert [row["code"] for row in alice.history(page=2)["data"]] == codes[:1]
    assert alice.history(page=3)["data"] == []


def test_the_history_of_nobody_is_empty(alice: Program) -> None:
    paginations = {"page": 1, "size": 5, "total_record": 0, "total_page": 0}

    assert alice.history() == {"paginations": paginations, "data": []}


@pytest.mark.parametrize(
    ("end", "word"),
    [
        ("open", "active"),
        ("used", "used"),
        ("expired", "in_active"),
        ("revoked", "in_active"),
        ("scheduled", "in_active"),
    ],
)
def test_the_wire_knows_three_states(alice: Program, behind: Flask, end: str, word: str) -> None:
    _bring_to_its_end(alice, end, alice.generate())

    assert alice.history()["data"][0]["status"] == word
    assert [row["status"] for row in alice.history(status=word)["data"]] == [word]
    for other in {"active", "used", "in_active"} - {word}:
        assert alice.history(status=other)["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=x",
        "page=",
        "page=1.5",
        "page=1&page=2",
        "size=0",
        "size=-5",
        "size=101",
        "size=1000000000",
        "size=many",
        "page=99999999999999999999",
        "status=expired",
        "cursor=made-up",
        "cursor=%00",
    ],
)
def test_a_page_that_cannot_be_is_refused(alice: Program, query: str) -> None:
    refused = alice.get(f"{INVITATION}/history?{query}")

    assert refusal(refused) == (400, "failed to get invitation, try again!")


def _wrong(chances: int) -> tuple[int, str]:
    return 400, f"invalid invitation code, you have {chances} chances left!"


def _is_locked(answer: httpx.Response) -> bool:
    """The exact wording by the second is in `test_lockout`, where the clock stands still."""
    status, message = refusal(answer)
    words = r"too many failed login attempts, please try again in (30m0s|29m\d{1,2}s)!"
    return status == 400 and re.fullmatch(words, message) is not None


def _days_until(time: Any) -> int:
    return round((datetime.fromisoformat(time) - utcnow()) / timedelta(days=1))


def _newest(alice: Program) -> Invitation:
    invitation = db.session.get(Invitation, UUID(alice.newest()))
    assert invitation is not None
    return invitation


def _bring_to_its_end(alice: Program, end: str, code: str) -> None:
    invitation, now = _newest(alice), utcnow()
    match end:
        case "used":
            data(alice.redeem(code, device()))
        case "expired":
            invitation.expires_at = now - timedelta(seconds=1)
        case "revoked":
            data(alice.post(f"{INVITATION}/{invitation.id}/revoke"))
        case "scheduled":
            invitation.starts_at = now + timedelta(hours=1)
    db.session.commit()
