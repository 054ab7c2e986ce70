"""Three wrong codes lock a device: one budget with the landing page, in the words of Go."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from portal.api.dialects.invitations import duration
from portal.domain.invitations import codes
from portal.models import Account
from tests import factories
from tests.api.programs import Program, data, device, refusal
from tests.factories import code_of
from tests.pages import PageClient

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LOCKED = "too many failed login attempts, please try again in "

Redeem = Callable[..., TestResponse]


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still at noon, until it is told otherwise."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def code(app: Flask, clock: time_machine.Traveller) -> str:
    """A code for one device."""
    with app.app_context():
        return code_of(factories.invitation(factories.owner(NOON), NOON))


@pytest.fixture
def redeem(app: Flask) -> Redeem:
    """Sends a code for a device, in this process: the clock of a server cannot be stopped."""

    def send(code: str, name: str = "xxxx") -> TestResponse:
        client = FlaskClient(app)
        return client.post(f"/api/v1/user/login/{code}", headers={"deviceId": name})

    return send


def _message(answer: TestResponse) -> str:
    assert (answer.status_code, answer.mimetype) == (400, "application/json")
    return str(answer.get_json()["message"])


def _lock(redeem: Redeem, name: str = "xxxx") -> str:
    return [_message(redeem(codes.draw(), name)) for _ in range(3)][-1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1s"),
        (45, "45s"),
        (59, "59s"),
        (60, "1m0s"),
        (1562, "26m2s"),
        (1798, "29m58s"),
        (1800, "30m0s"),
        (3600, "1h0m0s"),
        (3661, "1h1m1s"),
        (86400, "24h0m0s"),
    ],
)
def test_a_duration_is_written_as_go_writes_it(seconds: int, words: str) -> None:
    assert duration(seconds) == words


def test_three_wrong_codes_are_answered_as_the_document_answers_them(
    redeem: Redeem, code: str
) -> None:
    assert [_message(redeem(codes.draw())) for _ in range(4)] == [
        "invalid invitation code, you have 2 chances left!",
        "invalid invitation code, you have 1 chances left!",
        LOCKED + "30m0s!",
        LOCKED + "30m0s!",
    ]


# case 7
def test_a_locked_device_is_refused_with_a_right_code_too(
    redeem: Redeem, code: str, clock: time_machine.Traveller
) -> None:
    _lock(redeem)
    clock.shift(timedelta(seconds=2))

    refused = redeem(code)

    assert _message(refused) == LOCKED + "29m58s!"
    assert refused.headers["Retry-After"] == str(29 * 60 + 58)
    assert redeem(code, "another").get_json()["data"] == "Login Successful"


def test_a_lock_does_not_grow_when_the_device_keeps_trying(
    redeem: Redeem, code: str, clock: time_machine.Traveller
) -> None:
    _lock(redeem)

    for left in ("26m2s", "10m0s", "1m0s", "45s", "1s"):
        clock.move_to(NOON + timedelta(minutes=30) - _read(left))
        assert _message(redeem(codes.draw())) == LOCKED + left + "!"


# case 15
def test_a_lock_ends_after_thirty_minutes_and_the_count_starts_afresh(
    redeem: Redeem, code: str, clock: time_machine.Traveller
) -> None:
    _lock(redeem)

    clock.move_to(NOON + timedelta(minutes=29, seconds=59))
    assert _message(redeem(code)) == LOCKED + "1s!"
    clock.move_to(NOON + timedelta(minutes=30, seconds=1))
    assert _message(redeem(codes.draw())) == "invalid invitation code, you have 2 chances left!"
    assert redeem(code).status_code == 200


def test_a_locked_device_may_not_look_at_codes_either(
    app: Flask, redeem: Redeem, code: str
) -> None:
    _lock(redeem)

    looked = FlaskClient(app).get(f"/api/v1/invitation/{code}", headers={"deviceId": "xxxx"})

    assert _message(looked) == LOCKED + "30m0s!"


def test_a_success_gives_the_three_chances_back(redeem: Redeem, code: str) -> None:
    for _ in range(3):
        for left in (2, 1):
            wrong = f"invalid invitation code, you have {left} chances left!"
            assert _message(redeem(codes.draw())) == wrong
        assert redeem(code).status_code == 200


def test_a_malformed_code_costs_a_try_as_any_other_does(redeem: Redeem, code: str) -> None:
    messages = [_message(redeem(wrong)) for wrong in ("x", "ocnfnZ7xuqUxx", codes.draw())]

    assert messages[:2] == [
        "invalid invitation code, you have 2 chances left!",
        "invalid invitation code, you have 1 chances left!",
    ]
    assert messages[2] == LOCKED + "30m0s!"


@pytest.fixture
def settings_changes(request: pytest.FixtureRequest) -> dict[str, object]:
    """Another length of the lock, where a test asks for it."""
    return getattr(request, "param", {})


@pytest.mark.parametrize("settings_changes", [{"lockout_minutes": 60}], indirect=True)
def test_an_hour_is_written_with_its_minutes_and_seconds(redeem: Redeem, code: str) -> None:
    assert _lock(redeem) == LOCKED + "1h0m0s!"


# case 13
@pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 5}], indirect=True)
def test_the_page_and_the_api_share_the_budget_of_an_address(
    client: PageClient, redeem: Redeem, code: str
) -> None:
    assert client.submit("/", {"code": codes.draw()}).status_code == 422
    for name in ("a", "b", "c", "d"):
        assert "2 chances" in _message(redeem(codes.draw(), name))

    assert _message(redeem(code, "e")) == LOCKED + "1h0m0s!"
    assert client.submit("/", {"code": code}).status_code == 429


# case 13
def test_a_device_cannot_pass_for_a_browser(
    app: Flask, client: PageClient, redeem: Redeem, code: str
) -> None:
    client.submit("/", {"code": codes.draw()})
    cookie = client.get_cookie("device")
    assert cookie is not None

    _lock(redeem, cookie.value)

    assert client.submit("/", {"code": code}).status_code == 303


@pytest.mark.parametrize("name", ["a" * 4000, "' OR 1=1 --", "{}[]<>", "caf\u00e9"])
def test_a_device_may_have_any_name(redeem: Redeem, code: str, name: str) -> None:
    assert _lock(redeem, name) == LOCKED + "30m0s!"
    assert redeem(code, name + "!").status_code == 200


@pytest.mark.gunicorn
def test_a_lock_holds_on_every_worker(alice: Program) -> None:
    code, name = alice.generate(), device()
    for _ in range(3):
        alice.redeem(codes.draw(), name)

    for _ in range(8):
        status, message = refusal(alice.redeem(code, name))
        assert (status, message[: len(LOCKED)]) == (400, LOCKED)
    assert data(alice.redeem(code, device())) == "Login Successful"


@pytest.mark.gunicorn
def test_wrong_passwords_are_locked_in_the_same_words(
    program: Program, alice: Program, signed_in: tuple[Program, Account]
) -> None:
    _, person = signed_in
    wrong = {"email": person.email, "password": "12345AB"}
    stranger = {"deviceId": device()}
    answers = [
        refusal(program.post("/api/v1/admin/login", json=wrong, headers=stranger))
        for _ in range(11)
    ]

    assert answers[:10] == [(400, "email or password doesn't match!")] * 10
    assert answers[10][0] == 400
    assert answers[10][1].startswith(LOCKED)


# case 93
@pytest.mark.parametrize(
    ("path", "password", "done"),
    [
        ("/usermgmt/signup", "correct horse battery", 201),
        ("/okami/auth/registration", "Abcdef1!x", 200),
    ],
)
def test_people_with_one_app_behind_one_address_are_not_one_device(
    app: Flask, path: str, password: str, done: int
) -> None:
    with app.app_context():
        olivia = factories.owner()
        shared, own = (
            code_of(factories.invitation(olivia, datetime.now(UTC), max_uses=uses))
            for uses in (2, 1)
        )

    def sign_up(name: str, code: str) -> int:
        person = {"username": name, "email": f"{name}@example.org", "password": password}
        headers = {"User-Agent": "an app/1.0"}
        client = FlaskClient(app)
        answer = client.post(path, json=person | {"invitation_code": code}, headers=headers)
        return answer.status_code

    assert [sign_up(name, shared) for name in ("ann", "bob", "cara")] == [done, done, 400]
    assert [sign_up("dan", codes.draw()) for _ in range(4)] == [400] * 4
    assert sign_up("eve", own) == done


# case 13
@pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 5}])
def test_the_page_the_api_and_signing_up_share_the_budget_of_an_address(
    app: Flask, client: PageClient, redeem: Redeem
) -> None:
    assert client.submit("/", {"code": codes.draw()}).status_code == 422
    assert "2 chances" in _message(redeem(codes.draw(), "a"))
    person = {"username": "eve", "email": "eve@example.org", "password": "correct horse battery"}
    person["confirm_password"] = person["password"]
    for path in ("/usermgmt/signup", "/usermgmt/signup", "/api/v1/admin/register"):
        sent = person | {"invitation_code": codes.draw()}
        if path.endswith("register"):
            client.post(path, json=person | {"username": "olivia", "email": "olivia@example.org"})
        assert client.post(path, json=sent).status_code == 400

    assert client.submit("/", {"code": codes.draw()}).status_code == 429
    assert client.post("/usermgmt/signup", json=sent).status_code == 429
    assert client.submit("/validation", {"code": codes.draw()}).status_code == 200


def _read(text: str) -> timedelta:
    minutes, _, seconds = text.removesuffix("s").rpartition("m")
    return timedelta(minutes=int(minutes or 0), seconds=int(seconds))
