"""Accounts that are on one device at a time."""

from datetime import timedelta

import pytest

from portal.domain.accounts import accounts
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountDeactivated,
    InvalidCredentials,
    SignedInElsewhere,
    TooManyFailures,
)
from portal.domain.mail import outbox
from portal.domain.tokens import mobile
from portal.extensions import db
from portal.models import Account, Role, Session
from tests import factories
from tests.factories import NOW, PASSWORD, device

pytestmark = pytest.mark.usefixtures("context")

DAY = timedelta(hours=24)


def member() -> Account:
    """Bob."""
    return factories.staff(Role.MEMBER, "bob")


def sign_in(origin: Origin, password: str = PASSWORD, after: timedelta = timedelta()) -> Session:
    """Bob signs in."""
    return mobile.sign_in("bob", password, origin=origin, now=NOW + after, lasts=DAY)


def fail(times: int) -> None:
    """Somebody guesses at Bob's password, patiently: no lock stands in the way."""
    for number in range(times):
        with pytest.raises(InvalidCredentials):
            sign_in(device(), f"wrong {number}", after=number * timedelta(hours=1))


def fresh() -> Account:
    """Bob as he is stored."""
    db.session.rollback()
    db.session.expire_all()
    found = accounts.find("bob")
    assert found is not None
    return found


def test_a_second_device_is_refused_and_that_is_written_down() -> None:
    member()
    sign_in(device("first"))

    with pytest.raises(SignedInElsewhere):
        sign_in(device("second"))

    assert audit.latest(1)[0].action == "sign_in.elsewhere"


def test_a_second_device_gets_in_when_the_first_one_has_expired() -> None:
    member()
    sign_in(device("first"))

    assert sign_in(device("second"), after=DAY)


def test_the_same_device_gets_in_and_its_former_session_ends() -> None:
    member()
    first = sign_in(device("first"))

    second = sign_in(device("first"))

    db.session.expire_all()
    assert first.revoked_at == NOW
    assert second.revoked_at is None


def test_the_tenth_failure_in_a_row_deactivates_however_slowly_they_come() -> None:
    member()
    fail(9)
    assert fresh().deactivated_at is None

    with pytest.raises(TooManyFailures):
        sign_in(device(), "wrong", after=10 * timedelta(hours=1))

    assert fresh().deactivated_at is not None
    assert audit.latest(1)[0].action == "account.deactivated"
    assert [mail.kind for mail in outbox.latest(1)] == ["deactivated"]


def test_the_right_password_says_what_has_happened() -> None:
    member()
    fail(9)
    with pytest.raises(TooManyFailures):
        sign_in(device(), "wrong", after=DAY)

    with pytest.raises(TooManyFailures):
        sign_in(device(), after=2 * DAY)


def test_deactivation_ends_the_session_on_the_phone() -> None:
    member()
    session = sign_in(device("phone"))
    fail(9)
    with pytest.raises(TooManyFailures):
        sign_in(device(), "wrong", after=timedelta(hours=10))

    db.session.refresh(session)
    assert session.revoked_at is not None


def test_a_success_breaks_the_row() -> None:
    member()
    fail(9)

    sign_in(device(), after=DAY)

    assert fresh().failed_sign_ins == 0


def test_staff_are_never_deactivated_by_strangers() -> None:
    factories.staff(Role.VIEWER, "bob")

    fail(15)

    assert (fresh().deactivated_at, fresh().failed_sign_ins) == (None, 0)


def test_who_was_deactivated_by_staff_is_told_so() -> None:
    bob = member()
    bob.deactivated_at = NOW
    db.session.commit()

    with pytest.raises(AccountDeactivated):
        sign_in(device())
