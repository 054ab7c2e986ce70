"""Requests for an invitation, by people without a code."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db.types import UTCDateTime, new_id, one_of
from portal.extensions import Base


class RequestState(StrEnum):
    """The state of a request."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"


class InvitationRequest(Base):
    """A request to be invited. A unique index allows one waiting request per mailbox."""

    __tablename__ = "invitation_request"
    __table_args__ = (
        sa.CheckConstraint("state IN ('waiting', 'approved', 'declined')", name="state_known"),
        sa.Index("ix_invitation_request_state", "state", "id"),
        sa.Index(
            "uq_invitation_request_waiting",
            "email",
            unique=True,
            postgresql_where=sa.text("state = 'waiting'"),
            sqlite_where=sa.text("state = 'waiting'"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(sa.String(120))
    email: Mapped[str] = mapped_column(sa.String(254))
    reason: Mapped[str] = mapped_column(sa.String(1000), default="")
    language: Mapped[str] = mapped_column(sa.String(2), default="en")
    address: Mapped[str | None] = mapped_column(sa.String(45))
    state: Mapped[RequestState] = mapped_column(one_of(RequestState))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    decided_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("account.id"))
