"""Batches: many invitations issued at once, and the rows staged for them."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db.types import UTCDateTime, new_id, one_of
from portal.extensions import Base
from portal.models.account import Account, Role

A_LONG_WAIT = timedelta(seconds=30)


class BatchState(StrEnum):
    """The progress of a batch. The worker continues those being read or issued."""

    READING = "reading"
    PREVIEW = "preview"
    ISSUING = "issuing"
    ISSUED = "issued"
    FAILED = "failed"


class Batch(Base):
    """A name, the terms its invitations share, and its progress.

    `size` is the number of invitations wanted, `staged` of those drawn so far. `leased_until` keeps
    two workers from the same batch. `subject` and `message` of its mail are plain text with named
    fields. `zone` applies to times in an imported file.
    """

    __tablename__ = "batch"
    __table_args__ = (
        sa.CheckConstraint(
            "state IN ('reading', 'preview', 'issuing', 'issued', 'failed')", name="state_known"
        ),
        sa.CheckConstraint("size >= 0 AND staged >= 0", name="counts"),
        sa.Index("ix_batch_created_by", "created_by_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(sa.String(120))
    created_by_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[BatchState] = mapped_column(one_of(BatchState))
    size: Mapped[int] = mapped_column(default=0)
    staged: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    issued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    error: Mapped[str | None] = mapped_column(sa.String(500))

    label: Mapped[str] = mapped_column(sa.String(120), default="")
    starts_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    max_uses: Mapped[int | None]
    grants_role: Mapped[Role | None] = mapped_column(one_of(Role))

    mailed: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str] = mapped_column(sa.String(2), default="en")
    subject: Mapped[str] = mapped_column(sa.String(200), default="")
    message: Mapped[str] = mapped_column(sa.Text, default="")
    reminder_days: Mapped[int | None]
    paused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    zone: Mapped[str] = mapped_column(sa.String(64), default="UTC")

    created_by: Mapped[Account] = relationship(lazy="raise")

    def is_within_reach_of(self, account: Account) -> bool:
        """Whether `account` may act on its invitations, by `Account.may_act_on`."""
        return account.may_act_on(grants=self.grants_role, batch_of=self.created_by_id)

    def seems_forgotten(self, now: datetime) -> bool:
        """Whether it has waited so long that no worker seems to be running."""
        waits = self.state is BatchState.ISSUING and self.staged == 0
        return waits and now - self.created_at > A_LONG_WAIT


class BatchRow(Base):
    """A staged row, drawn and sealed, that cannot be redeemed yet.

    A row with a `problem` never becomes an invitation. `number` is its line in the file, or its
    position; `duplicate_of` is an earlier line with the same recipient.
    """

    __tablename__ = "batch_row"
    __table_args__ = (
        sa.Index(
            "ix_batch_row_recipient",
            "batch_id",
            "recipient",
            postgresql_where=sa.text("recipient IS NOT NULL"),
            sqlite_where=sa.text("recipient IS NOT NULL"),
        ),
    )

    batch_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[UUID | None]
    lookup: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
    sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary(128))
    hint: Mapped[str | None] = mapped_column(sa.String(4))
    recipient: Mapped[str | None] = mapped_column(sa.String(254))
    recipient_name: Mapped[str | None] = mapped_column(sa.String(120))
    language: Mapped[str | None] = mapped_column(sa.String(2))
    label: Mapped[str] = mapped_column(sa.String(120), default="")
    max_uses: Mapped[int | None]
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    problem: Mapped[str | None] = mapped_column(sa.String(200))
    duplicate_of: Mapped[int | None]
    already_invited: Mapped[bool] = mapped_column(default=False)


class BatchUpload(Base):
    """A piece of an uploaded file, kept until it has been read."""

    __tablename__ = "batch_upload"

    batch_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("batch.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)
