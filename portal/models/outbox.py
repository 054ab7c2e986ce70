"""The outbox: mails queued with their cause and sent later by a worker."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db.types import UTCDateTime, new_id, one_of
from portal.extensions import Base
from portal.models.verification import Purpose


class MailState(StrEnum):
    """The state of a mail."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class Mail(Base):
    """One mail to one mailbox. It refers to its subject; the text is rendered when it is sent.

    So no code is stored in clear. `leased_until` keeps two workers from sending it at once;
    `deaths` counts the workers that leased it and died before they recorded a result.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed')", name="state_known"),
        sa.Index("ix_outbox_due", "state", "due_at"),
        sa.Index("ix_outbox_state", "state", "id"),
        sa.Index(
            "ix_outbox_single",
            "due_at",
            postgresql_where=sa.text("batch_id IS NULL AND state = 'waiting'"),
            sqlite_where=sa.text("batch_id IS NULL AND state = 'waiting'"),
        ),
        sa.Index("ix_outbox_about", "about_id"),
        sa.Index("ix_outbox_recipient", "recipient", "created_at"),
        sa.Index(
            "ix_outbox_batch",
            "batch_id",
            "state",
            postgresql_where=sa.text("batch_id IS NOT NULL"),
            sqlite_where=sa.text("batch_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(sa.String(32))
    recipient: Mapped[str] = mapped_column(sa.String(254))
    about_id: Mapped[UUID]
    batch_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("batch.id"))
    state: Mapped[MailState] = mapped_column(one_of(MailState))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    leased_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tries: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0, server_default=sa.text("0"))
    error: Mapped[str | None] = mapped_column(sa.String(500))

    @property
    def is_verification(self) -> bool:
        """Whether it contains a verification code or link."""
        return self.kind in set(Purpose)


class Letter(Base):
    """The issuer's own text for one invitation e-mail, with named fields."""

    __tablename__ = "letter"

    invitation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("invitation.id"), primary_key=True)
    subject: Mapped[str] = mapped_column(sa.String(200), default="")
    message: Mapped[str] = mapped_column(sa.Text, default="")


class MailRefusal(Base):
    """An address that has unsubscribed."""

    __tablename__ = "mail_refusal"

    email: Mapped[str] = mapped_column(sa.String(254), primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
