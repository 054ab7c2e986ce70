"""Tokens by which programs act for a member of staff, and what they asked for once."""

from datetime import datetime
from enum import StrEnum
from functools import cached_property
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db.types import UTCDateTime, new_id, one_of
from portal.extensions import Base
from portal.models.account import Account


class Scope(StrEnum):
    """What a token may do; each may do all that the ones before it may."""

    READ = "read"
    ISSUE = "issue"
    MANAGE = "manage"

    @cached_property
    def rank(self) -> int:
        """0 for reading, up to 2 for managing."""
        return list(Scope).index(self)


class ApiToken(Base):
    """A named token of one account. Only its digest is stored."""

    __tablename__ = "api_token"
    __table_args__ = (
        sa.CheckConstraint("scope IN ('read', 'issue', 'manage')", name="scope_known"),
        sa.Index("ix_api_token_account", "account_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(sa.String(80))
    scope: Mapped[Scope] = mapped_column(one_of(Scope))
    digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), unique=True)
    hint: Mapped[str] = mapped_column(sa.String(4))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    account: Mapped[Account] = relationship(lazy="raise")

    def lives(self, now: datetime) -> bool:
        """Whether it is good at `now`."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class IssueReceipt(Base):
    """What an `Idempotency-Key` was answered with, so that repeating it issues nothing new."""

    __tablename__ = "issue_receipt"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"), primary_key=True)
    key_digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    terms_digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    invitation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("invitation.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
