"""Bulk actions on invitations: on those of a batch, or on selected ones.

Each verb commits once. A batch records one event, selected invitations one each, for their
timelines. If any selected invitation is not permitted, nothing is done.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import CursorResult

from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import BadInput, BatchNotIssued
from portal.domain.invitations import invitations, permissions
from portal.extensions import db
from portal.models import Account, Batch, BatchState, Invitation, Status

CARDS = 200  # per call: drawing QR codes is slow
GOOD = (Status.ACTIVE, Status.SCHEDULED)


@dataclass(frozen=True)
class Card:
    """An invitation with its code, to be printed."""

    invitation: Invitation
    code: str


def find(ids: Collection[UUID], *, by: Account) -> list[Invitation]:
    """Those of these invitations that exist, oldest first. Raises `NotAllowed`."""
    permissions.require_may_act_on_all(ids, by=by)
    chosen = sa.select(Invitation).where(Invitation.id.in_(ids)).order_by(Invitation.id)
    return list(db.session.scalars(chosen))


def count_unredeemed(batch: Batch, *, by: Account) -> int:
    """How many invitations `revoke_unredeemed` would revoke.

    Raises as `permissions.require_may_act` does.
    """
    permissions.require_may_act(batch, by=by)
    return db.session.scalar(sa.select(sa.func.count()).where(*_unredeemed(batch))) or 0


def revoke_unredeemed(batch: Batch, *, by: Account, origin: Origin, now: datetime) -> int:
    """Revoke all unredeemed invitations of a batch for good; return how many.

    Raises as `permissions.require_may_act` does, and `BatchNotIssued`.
    """
    permissions.require_may_act(batch, by=by)
    _require_issued(batch)
    revoked = _update(sa.update(Invitation).where(*_unredeemed(batch)).values(revoked_at=now))
    if revoked:
        audit.record(
            "batch.revoked",
            now=now,
            origin=origin,
            actor=by.id,
            subject=batch.id,
            invitations=revoked,
        )
    db.session.commit()
    return revoked


def extend_batch(
    batch: Batch, *, expires_at: datetime | None, by: Account, origin: Origin, now: datetime
) -> int:
    """Set the expiry of all invitations not revoked (None: never); return how many.

    Raises as `permissions.require_may_act` does, `BatchNotIssued`, `BadInput`.
    """
    permissions.require_may_act(batch, by=by)
    _require_issued(batch)
    which = (Invitation.batch_id == batch.id, *_extendable(expires_at, now))
    prolong = sa.update(Invitation).values(expires_at=expires_at, reminded_at=None)
    extended = _update(prolong.where(*which))
    db.session.execute(sa.update(Batch).where(Batch.id == batch.id).values(expires_at=expires_at))
    audit.record(
        "batch.extended",
        now=now,
        origin=origin,
        actor=by.id,
        subject=batch.id,
        invitations=extended,
        expires_at=expires_at and expires_at.isoformat(),
    )
    db.session.commit()
    return extended


def cards_of_batch(
    batch: Batch, *, by: Account, origin: Origin, now: datetime, after: UUID | None = None
) -> list[Card]:
    """The next `CARDS` cards of a batch's valid invitations, after that id.

    Raises as `permissions.require_may_act` does, and `BatchNotIssued`.
    """
    permissions.require_may_act(batch, by=by)
    _require_issued(batch)
    which = [Invitation.batch_id == batch.id]
    if after:
        which.append(Invitation.id > after)
    cards = _cards(which, now)
    audit.record(
        "batch.codes_shown",
        now=now,
        origin=origin,
        actor=by.id,
        subject=batch.id,
        invitations=len(cards),
    )
    db.session.commit()
    return cards


def revoke(ids: Collection[UUID], *, by: Account, origin: Origin, now: datetime) -> int:
    """Revoke these for good, used or not; return how many were still valid. Raises `NotAllowed`."""
    permissions.require_may_act_on_all(ids, by=by)
    revoked = db.session.scalars(
        sa.update(Invitation)
        .where(Invitation.id.in_(ids), Invitation.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(Invitation.id)
        .execution_options(synchronize_session=False)
    ).all()
    for ended in revoked:
        audit.record("invitation.revoked", now=now, origin=origin, actor=by.id, subject=ended)
    db.session.commit()
    return len(revoked)


def extend(
    ids: Collection[UUID],
    *,
    expires_at: datetime | None,
    by: Account,
    origin: Origin,
    now: datetime,
) -> int:
    """Set the expiry of those not revoked (None: never); return how many.

    Raises `NotAllowed`, `BadInput`.
    """
    permissions.require_may_act_on_all(ids, by=by)
    extended = db.session.scalars(
        sa.update(Invitation)
        .where(Invitation.id.in_(ids), *_extendable(expires_at, now))
        .values(expires_at=expires_at, reminded_at=None)
        .returning(Invitation.id)
        .execution_options(synchronize_session=False)
    ).all()
    until = expires_at and expires_at.isoformat()
    for prolonged in extended:
        audit.record(
            "invitation.extended",
            now=now,
            origin=origin,
            actor=by.id,
            subject=prolonged,
            expires_at=until,
        )
    db.session.commit()
    return len(extended)


def cards(ids: Collection[UUID], *, by: Account, origin: Origin, now: datetime) -> list[Card]:
    """The cards of the valid ones among these. Raises `NotAllowed`."""
    permissions.require_may_act_on_all(ids, by=by)
    cards = _cards([Invitation.id.in_(ids)], now)
    for card in cards:
        audit.record(
            "invitation.code_shown",
            now=now,
            origin=origin,
            actor=by.id,
            subject=card.invitation.id,
        )
    db.session.commit()
    return cards


def _require_issued(batch: Batch) -> None:
    """Rows already staged would miss the change."""
    if batch.state is not BatchState.ISSUED:
        raise BatchNotIssued


def _unredeemed(batch: Batch) -> list[sa.ColumnElement[bool]]:
    return [
        Invitation.batch_id == batch.id,
        Invitation.revoked_at.is_(None),
        Invitation.uses == 0,
    ]


def _extendable(expires_at: datetime | None, now: datetime) -> list[sa.ColumnElement[bool]]:
    """Invitations that can expire then: not revoked, and open before."""
    if expires_at is None:
        return [Invitation.revoked_at.is_(None)]
    if expires_at <= now:
        raise BadInput("Choose a moment in the future.")
    opens_before = sa.func.coalesce(Invitation.starts_at < expires_at, sa.true())
    return [Invitation.revoked_at.is_(None), opens_before]


def _update(statement: sa.Update) -> int:
    result = db.session.execute(statement.execution_options(synchronize_session=False))
    return cast(CursorResult[Any], result).rowcount


def _cards(which: list[sa.ColumnElement[bool]], now: datetime) -> list[Card]:
    good = (
        sa.select(Invitation)
        .where(*which, Invitation.status_at(now).in_(GOOD))
        .order_by(Invitation.id)
        .limit(CARDS)
    )
    return [Card(found, invitations.code_of(found)) for found in db.session.scalars(good)]
