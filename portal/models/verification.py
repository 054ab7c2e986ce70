"""Verification codes and links, mailed or returned between two steps; each is valid once."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db.types import UTCDateTime, new_id, one_of
from portal.extensions import Base
from portal.models.account import Account
from portal.models.invitation import Invitation


class Purpose(StrEnum):
    """The one purpose a verification is valid for (case 46)."""

    ACTIVATION = "activation"
    RESET = "reset"
    NEW_PASSWORD = "new_password"  # noqa: S105 - the step after a reset's code
    NEW_EMAIL = "new_email"
    SIGN_IN = "sign_in"
    SECOND_FACTOR = "second_factor"
    RECIPIENT = "recipient"  # an address that an invitation is bound to


class Verification(Base):
    """A secret sent to an account or, for RECIPIENT, to an address about an invitation.

    `digest` is of the code (keyed, because codes are short), `link_digest` of the link's token.
    `sealed` holds both until the mail to `email` is sent; after that only the digests stay. The
    link leads to the page of the `dialect` that requested it.
    """

    __tablename__ = "verification"
    __table_args__ = (
        sa.CheckConstraint(
            "purpose IN ('activation', 'reset', 'new_password', 'new_email', 'sign_in', "
            "'second_factor', 'recipient')",
            name="purpose_known",
        ),
        sa.CheckConstraint("(account_id IS NULL) <> (invitation_id IS NULL)", name="one_subject"),
        sa.Index("ix_verification_account", "account_id", "purpose"),
        sa.Index(
            "ix_verification_invitation",
            "invitation_id",
            "email",
            postgresql_where=sa.text("invitation_id IS NOT NULL"),
            sqlite_where=sa.text("invitation_id IS NOT NULL"),
        ),
        sa.Index("ix_verification_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("account.id", ondelete="CASCADE"))
    invitation_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("invitation.id", ondelete="CASCADE")
    )
    purpose: Mapped[Purpose] = mapped_column(one_of(Purpose))
    email: Mapped[str | None] = mapped_column(sa.String(254))
    dialect: Mapped[str | None] = mapped_column(sa.String(16))
    digest: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32))
    link_digest: Mapped[bytes | None] = mapped_column(sa.LargeBinary(32), unique=True)
    sealed: Mapped[bytes | None] = mapped_column(sa.LargeBinary(256))
    misses: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    account: Mapped[Account] = relationship(lazy="raise")  # None for RECIPIENT
    invitation: Mapped[Invitation] = relationship(lazy="raise")  # for RECIPIENT only

    def lives(self, now: datetime) -> bool:
        """Whether its link is valid at `now`."""
        return self.used_at is None and self.expires_at > now
