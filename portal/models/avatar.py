"""Profile pictures, kept in the database because such hosts have no lasting disks."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base


class Avatar(Base):
    """One size of one account's picture, as a re-encoded square; `size` is its side in pixels."""

    __tablename__ = "avatar"
    __table_args__ = (sa.Index("ix_avatar_digest", "digest"),)

    account_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("account.id", ondelete="CASCADE"), primary_key=True
    )
    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str] = mapped_column(sa.String(64))
    content: Mapped[bytes] = mapped_column(sa.LargeBinary)
