"""Sessions of accounts and of invitees; checked on every request."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db.types import UTCDateTime, one_of
from portal.extensions import Base
from portal.models.account import Account
from portal.models.invitation import Redemption

ONE_DEVICE = "dialect = 'mobile' AND revoked_at IS NULL"


class Surface(StrEnum):
    """Where a session is used."""

    BROWSER = "browser"
    API = "api"


class Session(Base):
    """A session of one account, or of one invitee (by their redemption).

    The id is random (version 4), since it is in the signed cookie. `wrong_passwords` counts guesses
    within it since the last right password.
    """

    __tablename__ = "session"
    __table_args__ = (
        sa.CheckConstraint("surface IN ('browser', 'api')", name="surface_known"),
        sa.CheckConstraint("(account_id IS NULL) <> (redemption_id IS NULL)", name="one_holder"),
        sa.Index("ix_session_account_device", "account_id", "device"),
        sa.Index("ix_session_redemption", "redemption_id"),
        # The mobile dialect: one device at a time.
        sa.Index(
            "uq_session_mobile",
            "account_id",
            unique=True,
            postgresql_where=sa.text(ONE_DEVICE),
            sqlite_where=sa.text(ONE_DEVICE),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("account.id"))
    redemption_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("redemption.id"))
    surface: Mapped[Surface] = mapped_column(one_of(Surface))
    dialect: Mapped[str | None] = mapped_column(sa.String(16))
    device: Mapped[str] = mapped_column(sa.String(64))
    address: Mapped[str | None] = mapped_column(sa.String(45))
    client: Mapped[str | None] = mapped_column(sa.String(255))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    wrong_passwords: Mapped[int] = mapped_column(default=0, server_default=sa.text("0"))

    account: Mapped[Account | None] = relationship(lazy="raise")
    redemption: Mapped[Redemption | None] = relationship(lazy="raise")

    # Required by Flask-Login.
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """The id that Flask-Login stores in the cookie."""
        return str(self.id)
