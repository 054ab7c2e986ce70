"""Wrong codes, kept for a short time for the unlock desk."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db.types import UTCDateTime, new_id
from portal.extensions import Base


class RefusedGuess(Base):
    """A wrong code entered on a device, sealed because it may be nearly right."""

    __tablename__ = "refused_guess"
    __table_args__ = (sa.Index("ix_refused_guess_device", "device", "at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    device: Mapped[str] = mapped_column(sa.String(64))
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    sealed: Mapped[bytes] = mapped_column(sa.LargeBinary(128))
