"""Passkeys: made by somebody signed in, good alone, and for nothing that was bent on the way."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.domain.accounts import accounts, login, passkeys, two_factor
from portal.domain.accounts.login import SecondStep
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountDeactivated,
    NotFound,
    PasskeyRefused,
    SecondFactorRequired,
)
from portal.extensions import db
from portal.models import Account, Passkey, Session
from tests import factories
from tests.authenticators import PRESENT, Authenticator, app_of
from tests.conftest import run_sql
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, device, mails_to

pytestmark = pytest.mark.usefixtures("context")

LAPTOP = device("laptop")


@pytest.fixture
def olivia() -> Account:
    """The owner."""
    return factories.owner()


@pytest.fixture
def phone(olivia: Account) -> Authenticator:
    """Olivia's phone, with a passkey."""
    phone = Authenticator()
    add(olivia, phone)
    return phone


def add(account: Account, authenticator: Authenticator, name: str = "Phone") -> list[str]:
    """Make a passkey."""
    options = passkeys.creation_options(account, origin=LAPTOP, now=NOW)
    answer = authenticator.create(options)
    return passkeys.add(account, answer, name=name, origin=LAPTOP, now=NOW)


def ask(origin: Origin = LAPTOP) -> dict[str, Any]:
    """A question to the browser."""
    return passkeys.request_options(origin=origin, now=NOW)


def enter(answer: str, origin: Origin = LAPTOP, later: timedelta = timedelta()) -> Session:
    """Sign in by the browser's answer."""
    return login.finish_by_passkey(answer, origin=origin, now=NOW + later)


def test_a_passkey_alone_signs_its_owner_in(olivia: Account, phone: Authenticator) -> None:
    session = enter(phone.get(ask()))

    assert stored(session).account_id == olivia.id
    assert passkeys.of(olivia)[0].last_used_at == NOW


def test_with_the_first_passkey_come_recovery_codes(olivia: Account) -> None:
    assert len(add(olivia, Authenticator())) == 10
    assert add(olivia, Authenticator()) == []


def test_a_passkey_is_a_second_factor(olivia: Account, phone: Authenticator) -> None:
    step = login.begin("olivia", PASSWORD, origin=device(), now=NOW)

    assert isinstance(step, SecondStep)
    with refused(SecondFactorRequired):
        accounts.sign_in("olivia", PASSWORD, origin=device(), now=NOW)


def test_the_question_names_nobody_and_asks_for_the_person(phone: Authenticator) -> None:
    options = ask()

    assert options["allowCredentials"] == []
    assert (options["rpId"], options["userVerification"]) == ("localhost", "required")


def test_a_new_passkey_must_be_found_without_a_name_and_be_new(
    olivia: Account, phone: Authenticator
) -> None:
    options = passkeys.creation_options(olivia, origin=LAPTOP, now=NOW)

    chosen = options["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert len(options["excludeCredentials"]) == 1


@pytest.mark.parametrize(
    "bent",
    [
        {"site": "http://localhost:81"},
        {"site": "https://evil.example"},
        {"host": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
        {"user": b"somebody else"},
        {"id": b"unknown"},
        {"key": Authenticator().key},
    ],
    ids=["port", "site", "host", "not verified", "not present", "person", "passkey", "key"],
)
def test_an_answer_that_was_bent_lets_nobody_in(phone: Authenticator, bent: dict[str, Any]) -> None:
    for name, value in bent.items():
        setattr(phone, name, value)

    with refused(PasskeyRefused):
        enter(phone.get(ask()))


@pytest.mark.parametrize(
    "bent",
    [{"site": "https://evil.example"}, {"host": "evil.example"}, {"flags": PRESENT}],
    ids=str,
)
def test_a_passkey_that_was_bent_is_not_kept(olivia: Account, bent: dict[str, Any]) -> None:
    with refused(PasskeyRefused):
        add(olivia, Authenticator(**bent))

    assert passkeys.of(olivia) == []


def test_a_question_is_answered_once(phone: Authenticator) -> None:
    answer = phone.get(ask())
    enter(answer)

    with refused(PasskeyRefused):
        enter(answer)


def test_a_question_is_answered_within_five_minutes(phone: Authenticator) -> None:
    answer = phone.get(ask())

    with refused(PasskeyRefused):
        enter(answer, later=timedelta(minutes=5, seconds=1))


def test_a_question_is_answered_by_the_device_it_was_put_to(phone: Authenticator) -> None:
    answer = phone.get(ask())

    with refused(PasskeyRefused):
        enter(answer, device())


def test_a_question_of_ones_own_is_no_question_of_ours(phone: Authenticator) -> None:
    with refused(PasskeyRefused):
        enter(
            phone.get(ask() | {"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})
        )


def test_a_question_about_a_new_passkey_signs_nobody_in(
    olivia: Account, phone: Authenticator
) -> None:
    with refused(PasskeyRefused):
        enter(phone.get(passkeys.creation_options(olivia, origin=LAPTOP, now=NOW)))


def test_a_question_to_somebody_else_makes_no_passkey(olivia: Account) -> None:
    oscar = factories.owner(username="oscar")
    answer = Authenticator().create(passkeys.creation_options(oscar, origin=LAPTOP, now=NOW))

    with refused(PasskeyRefused):
        passkeys.add(olivia, answer, name="", origin=LAPTOP, now=NOW)


def test_one_passkey_belongs_to_one_account(olivia: Account, phone: Authenticator) -> None:
    with refused(PasskeyRefused):
        add(factories.owner(username="oscar"), phone)


def test_a_passkey_that_counts_backwards_was_copied(phone: Authenticator) -> None:
    phone.uses = 5
    enter(phone.get(ask()))
    phone.uses = 4

    with refused(PasskeyRefused):
        enter(phone.get(ask()))


def test_a_passkey_does_not_open_an_account_that_was_switched_off(phone: Authenticator) -> None:
    answer = phone.get(ask())
    run_sql("UPDATE account SET deactivated_at = created_at")

    with refused(AccountDeactivated):
        enter(answer)


def test_a_removed_passkey_lets_nobody_in_and_takes_the_recovery_codes_along(
    olivia: Account, phone: Authenticator
) -> None:
    passkeys.remove(passkeys.of(olivia)[0].id, by=olivia, origin=LAPTOP, now=NOW)

    told = ["second_factor_passkey_added", "second_factor_passkey_removed"]
    assert mails_to("olivia@example.org") == told
    with refused(PasskeyRefused):
        enter(phone.get(ask()))
    assert two_factor.recovery_codes_left(olivia) == 0
    assert not two_factor.are_set_up(olivia)


def test_a_passkey_beside_an_app_leaves_the_recovery_codes(
    olivia: Account, phone: Authenticator
) -> None:
    assert app_of(olivia)[1] == []

    passkeys.remove(passkeys.of(olivia)[0].id, by=olivia, origin=LAPTOP, now=NOW)

    assert two_factor.recovery_codes_left(olivia) == 10


def test_nobody_removes_the_passkey_of_somebody_else(olivia: Account, phone: Authenticator) -> None:
    oscar = factories.owner(username="oscar")

    with refused(NotFound):
        passkeys.remove(passkeys.of(olivia)[0].id, by=oscar, origin=LAPTOP, now=NOW)


def test_an_account_has_no_more_than_twenty(
    olivia: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys, "MOST", 1)
    add(olivia, Authenticator(), name="")
    assert passkeys.of(olivia)[0].name == "Passkey"

    with refused(PasskeyRefused):
        add(olivia, Authenticator())


@pytest.mark.parametrize(
    ("settings_changes", "possible"),
    [
        ({"public_url": "http://localhost:8000"}, True),
        ({"public_url": "https://invite.example.org"}, True),
        ({"public_url": "http://invite.example.org"}, False),
        ({"public_url": "https://192.0.2.1"}, False),
        ({"public_url": "http://127.0.0.1:8000"}, False),
        ({"public_url": "https://[2001:db8::1]"}, False),
    ],
    ids=str,
)
def test_passkeys_need_a_name_and_a_safe_way(possible: bool) -> None:
    assert passkeys.are_possible() is possible


@pytest.mark.parametrize("answer", ["", "null", "[]", "{}", "[" * 20_000, '{"id": 1}', "\0"])
def test_an_answer_no_browser_gives_is_refused_by_name(olivia: Account, answer: str) -> None:
    with refused(PasskeyRefused):
        enter(answer)
    with refused(PasskeyRefused):
        passkeys.add(olivia, answer, name="", origin=LAPTOP, now=NOW)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    part=st.sampled_from(["clientDataJSON", "attestationObject"]),
    text=st.text("ABCDabcd0123-_", max_size=400),
)
def test_a_passkey_of_garbage_is_refused_by_name(olivia: Account, part: str, text: str) -> None:
    options = passkeys.creation_options(olivia, origin=LAPTOP, now=NOW)
    answer = json.loads(Authenticator().create(options))
    answer["response"][part] = text

    with refused(PasskeyRefused):
        passkeys.add(olivia, json.dumps(answer), name="", origin=LAPTOP, now=NOW)
    assert db.session.scalars(sa.select(Passkey)).all() == []
