"""The funnel of a batch: how many were issued, mailed, opened, redeemed, expired."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from portal.extensions import db
from portal.models import Batch, Invitation, Status


@dataclass(frozen=True)
class Funnel:
    """How many invitations reached each stage; `expired` counts those never redeemed."""

    issued: int
    mailed: int
    opened: int
    redeemed: int
    expired: int
    revoked: int


def of(batch: Batch, *, now: datetime) -> Funnel:
    """The funnel of a batch."""
    state = Invitation.status_at(now)
    steps = {
        "issued": sa.true(),
        "mailed": Invitation.mailed_at.is_not(None),
        "opened": Invitation.opened_at.is_not(None),
        "redeemed": Invitation.uses > 0,
        "expired": sa.and_(state == Status.EXPIRED, Invitation.uses == 0),
        "revoked": Invitation.revoked_at.is_not(None),
    }
    counts = sa.select(*(sa.func.count().filter(step).label(name) for name, step in steps.items()))
    row = db.session.execute(
        counts.select_from(Invitation).where(Invitation.batch_id == batch.id)
    ).one()
    return Funnel(**row._mapping)
