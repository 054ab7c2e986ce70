"""What the worker has begun, and what it must not begin again."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db.types import UTCDateTime, one_of
from portal.extensions import Base


class TaskKind(StrEnum):
    """Tasks of the worker. Those of one batch or import have its id as their key."""

    BATCH = "batch"
    IMPORT = "import"
    REMINDERS = "reminders"
    CHAIN = "chain"
    RETENTION = "retention"


class WorkerTask(Base):
    """A task that was begun and did not end well; one that ended well has no row.

    `deaths` counts the times in a row that a worker began it and never said how it ended: it runs
    now, or its worker died. `due_at` is when it may be begun again. One that is set aside is not
    begun until somebody resumes it.
    """

    __tablename__ = "worker_task"
    __table_args__ = (sa.CheckConstraint("deaths >= 0 AND failures >= 0", name="counts"),)

    kind: Mapped[TaskKind] = mapped_column(one_of(TaskKind), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    deaths: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    error: Mapped[str | None] = mapped_column(sa.String(100))
    set_aside_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
