"""Registrations that race: to own the portal, for an address, and for a staff invitation."""

from functools import partial

import pytest
import sqlalchemy as sa
from httpx import Response

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Account, Installation, Role, Session
from tests import factories
from tests.factories import code_of
from tests.faults.attack import (
    Browser,
    at_once,
    browsers,
    ledger,
    must_break,
    statuses,
    uses,
    without_constraint,
)
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

TWELVE = 12


# case 64
def test_of_twelve_parallel_first_registrations_one_becomes_the_owner(serve_portal: Serve) -> None:
    with serve_portal() as url:
        answers = _register_first(browsers(TWELVE, url))

    assert statuses(answers) == {303: 1, 403: 11}
    assert _accounts() == 1
    assert _accounts(Account.role == Role.OWNER) == 1


# case 64, its control
def test_looking_for_an_owner_before_becoming_one_would_make_several(
    serve_unguarded: Serve,
) -> None:
    with serve_unguarded(UNGUARDED="owner_read_then_written") as url:
        devices = browsers(TWELVE, url)

        def attack() -> bool:
            db.session.execute(sa.delete(Session))
            db.session.execute(sa.delete(Account))
            db.session.execute(sa.update(Installation).values(owned_since=None))
            db.session.commit()
            _register_first([device.twin() for device in devices])
            return _accounts(Account.role == Role.OWNER) > 1

        must_break(attack)


# case 23
def test_of_parallel_registrations_of_one_address_in_many_cases_one_succeeds(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal(ADMIN_REGISTRATION="open") as url:
        answers = _register_one_address("anna@example.org", browsers(TWELVE, url))

    assert statuses(answers) == {303: 1, 422: 11}
    assert _accounts(Account.email == "anna@example.org") == 1
    assert _accounts() == 2


# case 23, its control
def test_looking_for_an_address_before_taking_it_would_give_it_to_several(
    serve_unguarded: Serve, olivia: Account
) -> None:
    rule = ("account", "uq_account_email", "email")
    naive = {"UNGUARDED": "email_read_then_written", "ADMIN_REGISTRATION": "open"}
    with without_constraint(*rule), serve_unguarded(**naive) as url:
        devices = browsers(TWELVE, url)
        addresses = (f"anna{number}@example.org" for number in range(100))

        def attack() -> bool:
            address = next(addresses)
            _register_one_address(address, [device.twin() for device in devices])
            return _accounts(Account.email == address) > 1

        must_break(attack)


# case 19, at registration
def test_a_staff_invitation_for_one_makes_one_member_of_staff(
    serve_portal: Serve, olivia: Account
) -> None:
    invitation = factories.invitation(olivia, utcnow(), grants_role=Role.ADMIN)
    code = code_of(invitation)
    with serve_portal(ADMIN_REGISTRATION="invite") as url:
        answers = at_once(
            [
                partial(device.register, f"admin{number}", code=code)
                for number, device in enumerate(browsers(TWELVE, url))
            ]
        )

    assert statuses(answers) == {303: 1, 422: 11}
    assert (uses(invitation.id), ledger(invitation.id)) == (1, 1)
    assert _accounts() == 2


def _register_first(devices: list[Browser]) -> list[Response]:
    return at_once(
        [partial(device.register, f"owner{number}") for number, device in enumerate(devices)]
    )


def _register_one_address(address: str, devices: list[Browser]) -> list[Response]:
    """Register under one address, each time with other letters in upper case."""
    name = address.partition("@")[0]
    return at_once(
        [
            partial(device.register, f"{name}-{number}", email=_in_another_case(address, number))
            for number, device in enumerate(devices)
        ]
    )


def _in_another_case(address: str, number: int) -> str:
    """`address` with its letters raised where `number` has a bit."""
    return "".join(
        letter.upper() if number >> place % 4 & 1 else letter
        for place, letter in enumerate(address)
    )


def _accounts(*which: sa.ColumnElement[bool]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(Account).where(*which)) or 0
