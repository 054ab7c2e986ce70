"""Redemptions that race: with each other, with themselves, and with a revocation."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from httpx import Response

from portal.clock import utcnow
from portal.domain.audit import chain
from portal.extensions import db
from portal.models import Account, AuditEvent, Redemption, Session
from tests import factories
from tests.factories import code_of
from tests.faults.attack import (
    Browser,
    at_once,
    browsers,
    ledger,
    must_break,
    statuses,
    twins,
    uses,
    without_constraint,
)
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

FIFTY = 50
# Refusals are part of these races: no device may be locked out of the next round.
PATIENT = {"LOCKOUT_ATTEMPTS": "100"}


# case 19
@pytest.mark.pooler
def test_of_fifty_parallel_redemptions_of_a_single_use_code_one_succeeds(
    serve_portal: Serve, olivia: Account
) -> None:
    code, invitation = _issue(olivia, max_uses=1)
    with serve_portal() as url:
        answers = at_once(_redemptions(code, browsers(FIFTY, url)))

    assert statuses(answers) == {303: 1, 422: 49}
    assert (uses(invitation), ledger(invitation)) == (1, 1)


# case 20
def test_of_fifty_parallel_redemptions_of_a_code_for_five_five_succeed(
    serve_portal: Serve, olivia: Account
) -> None:
    code, invitation = _issue(olivia, max_uses=5)
    with serve_portal() as url:
        answers = at_once(_redemptions(code, browsers(FIFTY, url)))

    assert statuses(answers) == {303: 5, 422: 45}
    assert (uses(invitation), ledger(invitation)) == (5, 5)


# cases 19 and 20, their control
def test_reading_the_uses_before_writing_them_would_admit_too_many(
    serve_unguarded: Serve, olivia: Account
) -> None:
    def attack(max_uses: int) -> bool:
        code, invitation = _issue(olivia, max_uses=max_uses)
        at_once(_redemptions(code, devices))
        return ledger(invitation) > max_uses

    with serve_unguarded(UNGUARDED="uses_read_then_written", **PATIENT) as url:
        devices = browsers(20, url)
        must_break(partial(attack, 1))
        must_break(partial(attack, 5))


# case 21
def test_twenty_submits_of_one_device_are_one_redemption_and_one_session(
    app: Flask, serve_portal: Serve, olivia: Account
) -> None:
    code, invitation = _issue(olivia, max_uses=5)
    with serve_portal() as url:
        answers = at_once(_redemptions(code, twins(20, Browser.open(url))))

    assert statuses(answers) == {303: 20}
    assert (uses(invitation), ledger(invitation)) == (1, 1)
    assert {_session_in(answer, app) for answer in answers} == _sessions_of(invitation)
    assert len(_sessions_of(invitation)) == 1


# case 21, its control
def test_submits_that_pass_each_other_would_redeem_twice(
    serve_unguarded: Serve, olivia: Account
) -> None:
    rule = ("redemption", "uq_redemption_invitation_device", "invitation_id", "device")
    with without_constraint(*rule), serve_unguarded(UNGUARDED="submits_side_by_side") as url:

        def attack() -> bool:
            code, invitation = _issue(olivia, max_uses=5)
            at_once(_redemptions(code, twins(20, Browser.open(url))))
            return ledger(invitation) > 1

        must_break(attack)


# case 21, behind the guard
def test_the_ledger_refuses_a_device_twice_even_if_submits_pass_each_other(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="submits_side_by_side") as url:

        def attack() -> bool:
            code, invitation = _issue(olivia, max_uses=5)
            answers = at_once(_redemptions(code, twins(20, Browser.open(url))))
            assert (uses(invitation), ledger(invitation)) == (1, 1)
            return 500 in statuses(answers)

        must_break(attack)


# case 22
def test_nothing_redeems_once_a_revocation_has_committed(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal(**PATIENT) as url:
        devices, staff = browsers(12, url), Browser.open(url)
        staff.sign_in(olivia.username)
        for _ in range(6):
            code, invitation = _issue(olivia)
            admitted = _redeem_while_revoking(code, invitation, devices, staff)
            late = Browser.open(url).redeem(code)

            assert late.status_code == 422
            assert admitted == uses(invitation) == ledger(invitation)
            assert _redeemed_after_revocation(invitation) == 0


# case 22, its control
def test_a_revocation_that_is_read_but_not_waited_for_would_be_passed(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="revocation_read_once", **PATIENT) as url:
        devices, staff = browsers(12, url), Browser.open(url)
        staff.sign_in(olivia.username)

        def attack() -> bool:
            code, invitation = _issue(olivia)
            _redeem_while_revoking(code, invitation, devices, staff)
            return _redeemed_after_revocation(invitation) > 0

        must_break(attack)


# case 22, for those who are in already
def test_a_revocation_that_ends_sessions_leaves_none_to_a_device_that_comes_back(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal(**PATIENT) as url:
        devices, staff = browsers(12, url), Browser.open(url)
        staff.sign_in(olivia.username)
        for _ in range(6):
            assert _living_sessions_after_return(olivia, devices, staff) == 0


# case 22, for those who are in already, its control
def test_a_device_let_back_in_by_what_was_read_would_keep_a_session(
    serve_unguarded: Serve, olivia: Account
) -> None:
    with serve_unguarded(UNGUARDED="return_read_once", **PATIENT) as url:
        devices, staff = browsers(12, url), Browser.open(url)
        staff.sign_in(olivia.username)
        must_break(lambda: _living_sessions_after_return(olivia, devices, staff) > 0)


def _issue(by: Account, max_uses: int | None = None) -> tuple[str, UUID]:
    invitation = factories.invitation(by, utcnow(), max_uses=max_uses)
    return code_of(invitation), invitation.id


def _redemptions(code: str, devices: list[Browser]) -> list[Callable[[], Response]]:
    return [partial(device.redeem, code) for device in devices]


def _revocation(invitation: UUID, staff: Browser, **fields: str) -> Callable[[], Response]:
    return partial(staff.submit, f"/admin/invitations/{invitation}/revocation", **fields)


def _redeem_while_revoking(
    code: str, invitation: UUID, devices: list[Browser], staff: Browser
) -> int:
    """How many devices were let in while the invitation was being revoked."""
    attempts = _redemptions(code, devices)
    half = len(attempts) // 2
    revocation = _revocation(invitation, staff)
    answers = at_once([*attempts[:half], revocation, *attempts[half:]])
    assert answers.pop(half).status_code == 303
    assert set(statuses(answers)) <= {303, 422}
    return statuses(answers).get(303, 0)


def _living_sessions_after_return(olivia: Account, devices: list[Browser], staff: Browser) -> int:
    """How many sessions live after devices came back during a revocation that ends sessions."""
    code, invitation = _issue(olivia)
    assert {device.redeem(code).status_code for device in devices} == {303}
    revocation = _revocation(invitation, staff, end_sessions="y")
    answers = at_once([*_redemptions(code, devices), revocation])
    assert answers[-1].status_code == 303
    return _count_living(invitation)


def _redeemed_after_revocation(invitation: UUID) -> int:
    """How many redemptions committed after the revocation: the audit log is in that order."""
    chain.catch_up()
    revoked = (
        sa.select(AuditEvent.number)
        .where(AuditEvent.action == "invitation.revoked", AuditEvent.subject_id == invitation)
        .scalar_subquery()
    )
    return _count(
        sa.select(AuditEvent).where(
            AuditEvent.action == "invitation.redeemed",
            AuditEvent.subject_id == invitation,
            AuditEvent.number > revoked,
        )
    )


def _count_living(invitation: UUID) -> int:
    return _count(
        sa.select(Session.id)
        .join(Redemption, Session.redemption_id == Redemption.id)
        .where(Redemption.invitation_id == invitation, Session.revoked_at.is_(None))
    )


def _sessions_of(invitation: UUID) -> set[str]:
    living = sa.select(Session.id).join(Redemption, Session.redemption_id == Redemption.id)
    found = db.session.scalars(living.where(Redemption.invitation_id == invitation))
    return {str(opened) for opened in found}


def _session_in(answer: Response, app: Flask) -> str:
    """The invitee's session, by the cookie of an answer."""
    serializer: Any = app.session_interface.get_signing_serializer(app)
    return str(serializer.loads(answer.cookies["session"])["invitee"])


def _count(rows: sa.Select[Any]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(rows.subquery())) or 0
