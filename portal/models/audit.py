"""The audit log: append-only, each event chained to the one before it."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db.types import UTCDateTime
from portal.extensions import Base


class _Told:
    """The columns of every event, linked or not."""

    at: Mapped[datetime] = mapped_column(UTCDateTime)
    action: Mapped[str] = mapped_column(sa.String(48))
    actor_id: Mapped[UUID | None]
    subject_id: Mapped[UUID | None]
    device: Mapped[str | None] = mapped_column(sa.String(64))
    address: Mapped[str | None] = mapped_column(sa.String(45))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class AuditEvent(_Told, Base):
    """Who did what to what, with the hash that links it to all events before.

    `address` may be cleared later; its digest stays in the chain, which then still verifies. Events
    older than `UnlinkedEvent` have no `id`.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        sa.Index("ix_audit_event_subject", "subject_id", "number"),
        sa.Index("ix_audit_event_at", "at"),
        sa.Index("uq_audit_event_id", "id", unique=True),
    )

    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[UUID | None]
    address_digest: Mapped[str] = mapped_column(sa.String(64))
    hash: Mapped[str] = mapped_column(sa.String(64))


class UnlinkedEvent(_Told, Base):
    """An event as committed by its verb, before it is linked into the chain.

    `seal` is its keyed digest; `position` is the order of recording, so that of two verbs that
    waited for each other the second comes second.
    """

    __tablename__ = "audit_unlinked"

    position: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    )
    id: Mapped[UUID]
    seal: Mapped[bytes] = mapped_column(sa.LargeBinary(32))


class AuditHead(Base):
    """The single row with the end of the chain; locking it serialises linking.

    Events up to number `vouched` may predate the chain's key; `voucher` is the keyed digest by
    which the portal accepts them.
    """

    __tablename__ = "audit_head"
    __table_args__ = (sa.CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(sa.BigInteger)
    hash: Mapped[str] = mapped_column(sa.String(64))
    vouched: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default=sa.text("0"))
    voucher: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
