"""The counters behind rate limits and lockouts: one row per key, shared by all workers."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base


class AttemptCounter(Base):
    """The count of `key` in the window that ends at `expires_at` (Unix seconds)."""

    __tablename__ = "attempt_counter"
    __table_args__ = (sa.Index("ix_attempt_counter_expires_at", "expires_at"),)

    key: Mapped[str] = mapped_column(sa.String(160), primary_key=True)
    hits: Mapped[int]
    expires_at: Mapped[float] = mapped_column(sa.Double)
