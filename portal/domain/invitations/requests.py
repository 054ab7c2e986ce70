"""Requests for an invitation: made by people without a code, decided by staff.

The response is always the same, so nobody learns whether an address is invited or has asked before.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import sqlalchemy as sa
from limits import RateLimitItemPerHour
from sqlalchemy.dialects import postgresql, sqlite

from portal.config import settings
from portal.db.types import new_id
from portal.domain.accounts import emails
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import AskedTooOften
from portal.domain.invitations import invitations
from portal.domain.invitations.invitations import Terms
from portal.domain.lockout.counters import counting
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, Invitation, InvitationRequest, RequestState, Status

_OF_AN_ADDRESS = RateLimitItemPerHour(5, namespace="requests of an address")
_FOR_A_MAILBOX = RateLimitItemPerHour(3, namespace="requests for a mailbox")


def ask(*, name: str, email: str, reason: str, origin: Origin, now: datetime) -> None:
    """Queue a request; somebody already invited is sent that invitation again instead.

    Raises `InvalidEmail`, and `AskedTooOften` by network address only: beyond the limit of a
    mailbox, requests are silently dropped.
    """
    email = emails.normalise(email)
    counters = counting(now)
    if not counters.hit(_OF_AN_ADDRESS, origin.address_bucket):
        raise AskedTooOften
    is_welcome = counters.hit(_FOR_A_MAILBOX, sha256(email.encode()).hexdigest())
    if is_welcome:
        if invited := _open_invitation_for(email, now):
            outbox.queue("invitation", to=email, about=invited.id, now=now)
        else:
            _queue(name, email, reason, origin, now)
    db.session.commit()


def approve(ids: Sequence[UUID], *, by: Account, origin: Origin, now: datetime) -> int:
    """Issue and mail an invitation for each of these still waiting; return how many.

    One transaction each. Raises `NotAllowed`.
    """
    invitations.require_may_change(by)
    approved = 0
    for each in ids:
        request = _decide(each, RequestState.APPROVED, by, now)
        if request is None:
            continue
        # In one transaction with the decision: no request is approved without its invitation.
        invitations.issue(_terms(request, now), by=by, origin=origin, now=now, mailed=True)
        approved += 1
    return approved


def decline(ids: Sequence[UUID], *, by: Account, origin: Origin, now: datetime) -> int:
    """Decline those of these still waiting; return how many. Sends no mail.

    Raises `NotAllowed`.
    """
    invitations.require_may_change(by)
    declined = [each for each in ids if _decide(each, RequestState.DECLINED, by, now)]
    for each in declined:
        audit.record("request.declined", now=now, origin=origin, actor=by.id, subject=each)
    db.session.commit()
    return len(declined)


def in_state(state: RequestState, *, count: int) -> list[InvitationRequest]:
    """Up to `count` requests in a state: oldest waiting first, or most recently decided first."""
    found = sa.select(InvitationRequest).where(InvitationRequest.state == state).limit(count)
    if state is RequestState.WAITING:
        return list(db.session.scalars(found.order_by(InvitationRequest.id)))
    return list(db.session.scalars(found.order_by(InvitationRequest.decided_at.desc())))


def counts() -> dict[RequestState, int]:
    """How many requests are in each state; every state is included."""
    found = db.session.execute(
        sa.select(InvitationRequest.state, sa.func.count()).group_by(InvitationRequest.state)
    )
    return dict.fromkeys(RequestState, 0) | {RequestState(state): count for state, count in found}


def _queue(name: str, email: str, reason: str, origin: Origin, now: datetime) -> None:
    """Store the request, unless one for this mailbox is already waiting."""
    request = {
        "id": new_id(),
        "name": name,
        "email": email,
        "reason": reason,
        "language": settings.locale,
        "address": origin.address or None,
        "state": RequestState.WAITING,
        "created_at": now,
    }
    # The same upsert on both engines, but SQLAlchemy has a module for each.
    insert = postgresql.insert if db.engine.dialect.name == "postgresql" else sqlite.insert
    db.session.execute(insert(InvitationRequest).values(request).on_conflict_do_nothing())


def _decide(id: UUID, state: RequestState, by: Account, now: datetime) -> InvitationRequest | None:
    """Decide a waiting request; of two concurrent decisions one wins. Part of the transaction."""
    return db.session.scalars(
        sa.update(InvitationRequest)
        .where(InvitationRequest.id == id, InvitationRequest.state == RequestState.WAITING)
        .values(state=state, decided_at=now, decided_by_id=by.id)
        .returning(InvitationRequest)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).first()


def _terms(request: InvitationRequest, now: datetime) -> Terms:
    return Terms(
        label=request.name,
        recipient=request.email,
        expires_at=now + timedelta(days=settings.invitation_days),
    )


def _open_invitation_for(email: str, now: datetime) -> Invitation | None:
    return db.session.scalars(
        sa.select(Invitation)
        .where(
            Invitation.recipient == email,
            Invitation.grants_role.is_(None),
            Invitation.status_at(now) == Status.ACTIVE,
        )
        .order_by(Invitation.id.desc())
    ).first()
