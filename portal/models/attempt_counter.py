"""The counters behind the lockout: one row a limited key, shared by every worker."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base


class AttemptCounter(Base):
    """How often `key` was counted in the window that ends at `expires_at` (Unix seconds)."""

    __tablename__ = "attempt_counter"
    __table_args__ = (sa.Index("ix_attempt_counter_expires_at", "expires_at"),)

    key: Mapped[str] = mapped_column(sa.String(160), primary_key=True)
    hits: Mapped[int]
    expires_at: Mapped[float] = mapped_column(sa.Double)
