"""Invitations, and the ledger of their redemptions."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db.types import UTCDateTime, new_id, one_of
from portal.extensions import Base
from portal.models.account import Account, Role
from portal.models.batch import Batch


class Status(StrEnum):
    """The status of an invitation at a given time; computed, never stored."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Invitation(Base):
    """One code: sealed at rest, found by its digest, and only used up along with a redemption."""

    __tablename__ = "invitation"
    __table_args__ = (
        sa.CheckConstraint("uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)", name="uses"),
        sa.CheckConstraint("max_uses IS NULL OR max_uses > 0", name="max_uses_positive"),
        sa.Index("ix_invitation_created_by_id", "created_by_id", "id"),
        sa.Index("ix_invitation_created_at", "created_at"),
        sa.Index("ix_invitation_expires_at", "expires_at"),
        sa.Index(
            "ix_invitation_staff",
            "created_by_id",
            postgresql_where=sa.text("grants_role IS NOT NULL"),
            sqlite_where=sa.text("grants_role IS NOT NULL"),
        ),
        sa.Index(
            "ix_invitation_batch",
            "batch_id",
            "id",
            postgresql_where=sa.text("batch_id IS NOT NULL"),
            sqlite_where=sa.text("batch_id IS NOT NULL"),
        ),
        sa.Index(
            "ix_invitation_recipient",
            "recipient",
            postgresql_where=sa.text("recipient IS NOT NULL"),
            sqlite_where=sa.text("recipient IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lookup: Mapped[bytes] = mapped_column(sa.LargeBinary(32), unique=True)
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary(128))
    hint: Mapped[str] = mapped_column(sa.String(4))
    label: Mapped[str] = mapped_column(sa.String(120), default="")
    recipient: Mapped[str | None] = mapped_column(sa.String(254))
    recipient_name: Mapped[str | None] = mapped_column(sa.String(120))
    language: Mapped[str | None] = mapped_column(sa.String(2))
    batch_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("batch.id"))
    grants_role: Mapped[Role | None] = mapped_column(one_of(Role))
    created_by_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    starts_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mailed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    reminded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    opened_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    max_uses: Mapped[int | None]
    uses: Mapped[int] = mapped_column(default=0)

    created_by: Mapped[Account] = relationship(lazy="raise")
    batch: Mapped[Batch | None] = relationship(lazy="raise")

    def status(self, now: datetime) -> Status:
        """The status at `now`."""
        if self.revoked_at is not None:
            return Status.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return Status.EXPIRED
        if self.max_uses is not None and self.uses >= self.max_uses:
            return Status.USED
        if self.starts_at is not None and self.starts_at > now:
            return Status.SCHEDULED
        return Status.ACTIVE

    @classmethod
    def status_at(cls, now: datetime | sa.ColumnElement[datetime]) -> sa.ColumnElement[str]:
        """`status` as an expression for queries."""
        word = {status: sa.literal_column(f"'{status}'", sa.String) for status in Status}
        return sa.case(
            (cls.revoked_at.is_not(None), word[Status.REVOKED]),
            (cls.expires_at <= now, word[Status.EXPIRED]),
            (cls.uses >= cls.max_uses, word[Status.USED]),
            (cls.starts_at > now, word[Status.SCHEDULED]),
            else_=word[Status.ACTIVE],
        )

    def is_within_reach_of(self, account: Account) -> bool:
        """Whether `account` may act on it, by `Account.may_act_on`."""
        batch_of = self.created_by_id if self.batch_id else None
        return account.may_act_on(grants=self.grants_role, batch_of=batch_of)

    @classmethod
    def within_reach_of(cls, account: Account) -> sa.ColumnElement[bool]:
        """`is_within_reach_of` as an expression for queries."""
        if account.may(Role.OWNER):
            return sa.true()
        if not account.may(Role.ADMIN):
            return sa.false()
        is_visible = sa.or_(cls.batch_id.is_(None), cls.created_by_id == account.id)
        return sa.and_(cls.grants_one_of(account.grantable_roles), is_visible)

    @classmethod
    def grants_one_of(cls, roles: Iterable[Role]) -> sa.ColumnElement[bool]:
        """Whether it grants no role or one of these, as an expression for queries."""
        return sa.or_(cls.grants_role.is_(None), *(cls.grants_role == role for role in roles))

    @property
    def uses_left(self) -> int | None:
        """How many more devices it admits; None if unlimited."""
        return None if self.max_uses is None else self.max_uses - self.uses

    @property
    def can_be_changed(self) -> bool:
        """Whether revoking or extending it would have an effect."""
        return self.revoked_at is None

    @property
    def mail_language(self) -> str | None:
        """The language of its mails, its own or its batch's (which must be loaded)."""
        return self.language or (self.batch.language if self.batch else None)

    @property
    def can_be_mailed(self) -> bool:
        """Whether it is bound to one mailbox, not to a whole domain or to nobody."""
        return self.recipient is not None and not self.recipient.startswith("@")


class Redemption(Base):
    """The redemption of an invitation by a device. A ledger: rows are added, never removed.

    The account its person creates later is added; once that is deleted, only its id stays.
    """

    __tablename__ = "redemption"
    __table_args__ = (
        sa.UniqueConstraint("invitation_id", "device", name="uq_redemption_invitation_device"),
        sa.Index("ix_redemption_at", "at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    invitation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("invitation.id"))
    device: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    address: Mapped[str | None] = mapped_column(sa.String(45))
    client: Mapped[str | None] = mapped_column(sa.String(255))
    email: Mapped[str | None] = mapped_column(sa.String(254))
    account_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("account.id"))

    invitation: Mapped[Invitation] = relationship(lazy="raise")


class PendingRedemption(Base):
    """A bound invitation somebody signed up with, redeemed once their e-mail is proven."""

    __tablename__ = "pending_redemption"

    account_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("account.id", ondelete="CASCADE"), primary_key=True
    )
    invitation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("invitation.id"))
