"""Uploads: a file of recipients becomes a preview and, once confirmed, a batch.

The file is stored in pieces and read in chunks, a transaction each: the first ones at once, the
rest by the worker. Nothing in it can be redeemed before it is confirmed (`preview.py`).
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import IO
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from portal.db.types import new_id
from portal.domain import sandbox
from portal.domain.audit import audit
from portal.domain.batches.staging import Draft, stage
from portal.domain.client import Origin
from portal.domain.errors import DecodersBusy, FileRefused
from portal.domain.imports import parsing, preview, tables
from portal.domain.imports.tabular import Row
from portal.domain.invitations import invitations
from portal.domain.invitations.invitations import Terms
from portal.domain.lockout import upload_limits
from portal.domain.mail import invitation_mail
from portal.extensions import db
from portal.models import Account, Batch, BatchRow, BatchState, BatchUpload

LARGEST_FILE = 64 * 1024 * 1024  # bytes
MOST_ROWS = 1_000_000
PIECE = 1024 * 1024  # bytes
CHUNK = 2_000  # rows per transaction
AT_ONCE = 4_000  # rows read within the request
# Rows per round of the worker, which also has mails to send. Not fewer: every round reads the file
# from its start to find its place.
STEP = 100_000
LEASE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Mailing:
    """Whether recipients are mailed, and the text; empty fields mean the default."""

    mailed: bool = False
    language: str = "en"
    subject: str = ""
    message: str = ""
    reminder_days: int | None = None


def receive(
    file: IO[bytes],
    terms: Terms,
    *,
    name: str,
    by: Account,
    origin: Origin,
    now: datetime,
    mailing: Mailing | None = None,
    zone: str = "UTC",
) -> Batch:
    """Store a file of recipients, to be read by `read`. `terms` are defaults for empty cells.

    `zone` applies to times in the file. Raises `NotAllowed`, `BadInput`, `FileRefused`,
    `TooManyUploads`.
    """
    terms, mailing = invitations.checked(terms, by, now), mailing or Mailing()
    invitation_mail.check(mailing.subject, mailing.message)
    upload_limits.count(upload_limits.IMPORTS, by.id, now=now)
    batch = Batch(
        id=new_id(),
        name=name,
        created_by_id=by.id,
        created_at=now,
        state=BatchState.READING,
        label=terms.label,
        starts_at=terms.starts_at,
        expires_at=terms.expires_at,
        max_uses=terms.max_uses,
        zone=zone,
        **vars(mailing),
    )
    db.session.add(batch)
    db.session.flush()
    size = _keep(file, batch.id)
    audit.record(
        "import.received", now=now, origin=origin, actor=by.id, subject=batch.id, size=size
    )
    db.session.commit()
    return batch


def unread() -> list[UUID]:
    """The ids of the imports still being read, oldest first."""
    reading = sa.select(Batch.id).where(Batch.state == BatchState.READING)
    return list(db.session.scalars(reading.order_by(Batch.id)))


def read(
    id: UUID,
    *,
    clock: Callable[[], datetime],
    at_most: int = STEP,
    limits: sandbox.Limits = tables.PATIENT,
) -> bool:
    """Read about `at_most` rows of an import; return whether there was anything to do.

    Commits every `CHUNK` rows and continues where the last call, even a killed one, left off. After
    the last row the preview opens; if the file cannot be read, the batch is marked as failed. Files
    beyond the `tables.HASTY` limits, or met while decoders are busy, are left to the worker.
    """
    batch = _lease(id, clock())
    if batch is None:
        return False
    try:
        with _spooled(id) as file, tables.opened(file, limits) as rows:
            finished = _stage_next(batch, rows, clock, at_most)
        if finished:
            preview.open_preview(batch, now=clock())
    except FileRefused as refusal:
        _fail(batch, str(refusal))
    except (DecodersBusy, sandbox.DecoderStopped):
        if limits is not tables.HASTY:
            _fail(batch, "This file takes too long, or too much memory, to read. Send it in parts.")
            return True
        db.session.rollback()
        _release(batch)
    return True


def _keep(file: IO[bytes], batch_id: UUID) -> int:
    size = 0
    for number, piece in enumerate(iter(lambda: file.read(PIECE), b"")):
        size += len(piece)
        if size > LARGEST_FILE:
            raise FileRefused("This file is larger than 64 MB. Send it in parts.")
        row = {"batch_id": batch_id, "number": number, "content": piece}
        db.session.execute(sa.insert(BatchUpload), [row])
    if not size:
        raise FileRefused("This file is empty.")
    return size


def _lease(id: UUID, now: datetime) -> Batch | None:
    free = sa.or_(Batch.leased_until.is_(None), Batch.leased_until <= now)
    batch = db.session.scalars(
        sa.update(Batch)
        .where(Batch.id == id, Batch.state == BatchState.READING, free)
        .values(leased_until=now + LEASE)
        .returning(Batch)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).first()
    db.session.commit()
    return batch


@contextmanager
def _spooled(id: UUID) -> Iterator[IO[bytes]]:
    """The file, reassembled on disk."""
    numbers = sa.select(BatchUpload.number).where(BatchUpload.batch_id == id)
    with tempfile.TemporaryFile() as file:
        for number in db.session.scalars(numbers.order_by(BatchUpload.number)).all():
            one = (BatchUpload.batch_id == id, BatchUpload.number == number)
            file.write(db.session.scalars(sa.select(BatchUpload.content).where(*one)).one())
        yield file


def _stage_next(
    batch: Batch, rows: Iterable[Row], clock: Callable[[], datetime], at_most: int
) -> bool:
    """Stage up to `at_most` rows; return whether they were the last."""
    terms = parsing.Terms(
        label=batch.label,
        max_uses=batch.max_uses,
        expires_at=batch.expires_at,
        mailed=batch.mailed,
        zone=ZoneInfo(batch.zone),
    )
    drafts = parsing.drafts(_counted(rows), terms, now=clock(), after=batch.staged)
    for _ in range(0, at_most, CHUNK):
        chunk = list(islice(drafts, CHUNK))
        if chunk and not _stage(batch, chunk, clock()):
            return False
        if len(chunk) < CHUNK:
            return True
    _release(batch)
    return False


def _counted(rows: Iterable[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, start=-1):
        if count >= MOST_ROWS:
            raise FileRefused("This file has more than a million rows. Send it in parts.")
        yield row


def _stage(batch: Batch, chunk: list[Draft], now: datetime) -> bool:
    """Store these rows, unless the import was discarded or somebody else has taken over."""
    kept = db.session.scalars(
        sa.update(Batch)
        .where(
            Batch.id == batch.id,
            Batch.state == BatchState.READING,
            Batch.staged == batch.staged,
        )
        .values(staged=chunk[-1].number, leased_until=now + LEASE)
        .returning(Batch)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).first()
    if kept is None:
        db.session.rollback()
        return False
    stage(batch.id, chunk)
    db.session.commit()
    return True


def _release(batch: Batch) -> None:
    db.session.execute(sa.update(Batch).where(Batch.id == batch.id).values(leased_until=None))
    db.session.commit()


def _fail(batch: Batch, reason: str) -> None:
    db.session.rollback()
    db.session.execute(
        sa.update(Batch)
        .where(Batch.id == batch.id, Batch.state == BatchState.READING)
        .values(state=BatchState.FAILED, error=reason, leased_until=None)
    )
    for table in (BatchRow, BatchUpload):
        db.session.execute(sa.delete(table).where(table.batch_id == batch.id))
    db.session.commit()
