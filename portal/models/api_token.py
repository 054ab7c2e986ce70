"""API tokens of staff, and receipts of idempotent requests."""

from datetime import datetime
from enum import StrEnum
from functools import cached_property
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db.types import UTCDateTime, new_id, some_of
from portal.extensions import Base
from portal.models.account import Account


class Scope(StrEnum):
    """What a token may do.

    `manage` includes `issue`, and `issue` includes `read`. `sign-in` stands apart: an app with it
    may check the passwords of its users, and nothing else.
    """

    READ = "read"
    ISSUE = "issue"
    MANAGE = "manage"
    SIGN_IN = "sign-in"

    @cached_property
    def includes(self) -> "frozenset[Scope]":
        """All scopes that this one grants."""
        ladder = (Scope.READ, Scope.ISSUE, Scope.MANAGE)
        return frozenset(ladder[: ladder.index(self) + 1] if self in ladder else (self,))


class ApiToken(Base):
    """A named token of one account. Only its digest is stored.

    `scopes` holds at most one of `read`, `issue` and `manage`; `sign-in` may be added or stand
    alone.
    """

    __tablename__ = "api_token"
    __table_args__ = (
        sa.CheckConstraint(
            "scope IN ('read', 'issue', 'manage', 'sign-in', "
            "'read sign-in', 'issue sign-in', 'manage sign-in')",
            name="scope_known",
        ),
        sa.Index("ix_api_token_account", "account_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(sa.String(80))
    scopes: Mapped[frozenset[Scope]] = mapped_column("scope", some_of(Scope))
    digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), unique=True)
    hint: Mapped[str] = mapped_column(sa.String(4))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_address: Mapped[str | None] = mapped_column(sa.String(45))
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    account: Mapped[Account] = relationship(lazy="raise")

    @property
    def scope(self) -> str:
        """Its scopes in OAuth's notation: `read sign-in`."""
        return " ".join(scope for scope in Scope if scope in self.scopes)

    def lives(self, now: datetime) -> bool:
        """Whether it is valid at `now`."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class IssueReceipt(Base):
    """The invitation issued for an `Idempotency-Key`; a repeated request issues no other."""

    __tablename__ = "issue_receipt"

    account_id: Mapped[UUID] = mapped_column(sa.ForeignKey("account.id"), primary_key=True)
    key_digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), primary_key=True)
    terms_digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32))
    invitation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("invitation.id"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
