"""Attempts at the worker's tasks."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from portal.db.types import UTCDateTime, one_of
from portal.extensions import Base


class TaskKind(StrEnum):
    """The worker's kinds of tasks. Those about one batch or import have its id as key."""

    BATCH = "batch"
    IMPORT = "import"
    REMINDERS = "reminders"
    CHAIN = "chain"
    RETENTION = "retention"


class WorkerTask(Base):
    """A task that has begun and not ended well; a finished one has no row.

    `deaths` counts the attempts in a row with no recorded end: it is running, or its worker died.
    `due_at` is when it may begin again. A task that is set aside waits for somebody to resume it.
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
