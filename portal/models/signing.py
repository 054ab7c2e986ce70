"""Signing keys, and refresh tokens of sessions."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db.types import UTCDateTime, new_id
from portal.extensions import Base
from portal.models.session import Session


class SigningKey(Base):
    """A key of one algorithm, identified by its kid. The private half is sealed.

    The newest one not retired signs; older ones verify until `retired_at`.
    """

    __tablename__ = "signing_key"
    __table_args__ = (sa.Index("ix_signing_key_algorithm", "algorithm", "created_at"),)

    kid: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    algorithm: Mapped[str] = mapped_column(sa.String(8))
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    public_jwk: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RefreshToken(Base):
    """A refresh token of one session. Valid once: a second use ends the session (case 40)."""

    __tablename__ = "refresh_token"
    __table_args__ = (sa.Index("ix_refresh_token_session", "session_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    session_id: Mapped[UUID] = mapped_column(sa.ForeignKey("session.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(sa.LargeBinary(32), unique=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    session: Mapped[Session] = relationship(lazy="raise")
