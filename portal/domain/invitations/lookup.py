"""Code lookup: everything to know about a code before redeeming it, in one statement."""

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from portal.db import hot
from portal.db.hot import Statement, Transaction
from portal.db.types import UTCDateTime, plain_id
from portal.domain.client import Origin
from portal.domain.errors import CodeRefused, InvitationExpired, InvitationNotOpen, InvitationUsed
from portal.domain.invitations import codes
from portal.domain.lockout import lockout
from portal.domain.lockout.lockout import Kind
from portal.models import Invitation, Redemption, Role, Status


class Offer(NamedTuple):
    """What has to be known of an invitation before it is redeemed.

    `row` is its id as 32 hex digits; `status` is the value of a `Status`.
    """

    row: str
    sealed: bytes
    status: str
    starts_at: datetime | None
    expires_at: datetime | None
    opened_at: datetime | None
    recipient: str | None
    grants_role: Role | None

    @property
    def id(self) -> UUID:
        """The invitation's id."""
        return UUID(self.row)

    @property
    def code(self) -> str:
        """The code in display form. The caller is responsible for who sees it."""
        return codes.unseal_all([(self.sealed, bytes.fromhex(self.row))])[0]

    def suits(self, email: str) -> bool:
        """Whether `email` (normalised) matches the address or domain it is bound to."""
        if self.recipient is None:
            return True
        if self.recipient.startswith("@"):
            return "@" + email.rpartition("@")[2] == self.recipient
        return email == self.recipient

    def require_active(self) -> None:
        """Raise the `CodeRefused` that says why it cannot be redeemed, unless it can."""
        match self.status:
            case Status.ACTIVE:
                return
            case Status.USED:
                raise InvitationUsed
            case Status.SCHEDULED if self.starts_at:
                raise InvitationNotOpen(self.starts_at)
            case Status.EXPIRED if self.expires_at:
                raise InvitationExpired(self.expires_at)
        raise CodeRefused


class Look(NamedTuple):
    """The result of a code lookup.

    The end of the lockout (Unix seconds), if there is one; this device's earlier redemption; and
    the offer, None for a code that is unknown or revoked.
    """

    end_of_wait: float | None
    redemption: UUID | None
    offer: Offer | None


def look_up(code: str, *, origin: Origin, now: datetime, tx: Transaction | None = None) -> Look:
    """Look up `code` for a device, in the transaction that reserved an attempt or on its own."""
    digests = codes.lookups(code)
    kind = Kind.REDEEMING if tx else Kind.LOOKING_UP
    values = lockout.waiting(kind, origin, now=now)
    values["device"], values["now"] = origin.device_digest, now
    values |= {f"lookup_{number}": digest for number, digest in enumerate(digests)}
    everything = _everything_about_a_code(len(digests))
    row = tx.first(everything, values) if tx else hot.first(everything, values)
    assert row is not None  # noqa: S101 - whether one has to wait is always answered
    end, redemption, *found = row
    return Look(end, redemption, None if found[0] is None else Offer._make(found))


@cache
def _everything_about_a_code(secrets: int) -> Statement:
    """The lookup as one statement, with one digest for each current or replaced key."""
    names = [f"lookup_{number}" for number in range(secrets)]
    digests = [sa.bindparam(name, type_=Invitation.lookup.type) for name in names]
    wait = sa.select(lockout.end_of_wait().label("end")).subquery()
    is_meant = sa.and_(Invitation.lookup.in_(digests), Invitation.revoked_at.is_(None))
    is_this_device = sa.and_(
        Redemption.invitation_id == Invitation.id,
        Redemption.device == sa.bindparam("device"),
    )
    columns: list[Any] = [
        wait.c.end,
        Redemption.id,
        # The fields of an `Offer`, in order.
        plain_id(Invitation.id),
        Invitation.sealed,
        Invitation.status_at(sa.bindparam("now", type_=UTCDateTime)),
        Invitation.starts_at,
        Invitation.expires_at,
        Invitation.opened_at,
        Invitation.recipient,
        Invitation.grants_role,
    ]
    return Statement(
        sa.select(*columns).select_from(
            wait.outerjoin(Invitation, is_meant).outerjoin(Redemption, is_this_device)
        )
    )
