"""Backups of the embedded database: one file, taken while others write and checked before use.

`sqlite3`'s online backup copies a consistent snapshot, whatever is being written meanwhile.
https://www.sqlite.org/backup.html
"""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from portal.db import schema
from portal.domain.errors import BackupRefused

PATIENCE = 20.0  # seconds a copy waits for a writer


def write(database: Path, target: Path, *, overwrite: bool = False) -> str:
    """Back `database` up into the file `target` (mode 0600); return the schema revision.

    `target` appears complete and checked, or not at all. Raises `BackupRefused`.
    """
    if target.exists() and not overwrite:
        raise BackupRefused(f"{target} exists already. Choose another name, or add --force.")
    with _aside(target) as copy:
        revision = _copy(database, copy)
        _put(copy, target)
    return revision


def restore(backup: Path, database: Path, *, now: datetime, overwrite: bool = False) -> Path | None:
    """Replace `database` by `backup`; return where the previous database is kept.

    Raises `BackupRefused`, also while any process has the database open.
    """
    if database.exists() and not overwrite:
        raise BackupRefused(f"There is a database at {database}. To replace it, add --force.")
    with _aside(database) as copy:
        _copy(backup, copy)
        kept = _set_aside(database, now) if database.exists() else None
        for journal in ("-wal", "-shm"):  # of the replaced database: SQLite would replay them
            database.with_name(database.name + journal).unlink(missing_ok=True)
        _put(copy, database)
    return kept


def check(database: Path) -> str:
    """The schema revision of an intact database; raises `BackupRefused` for any other."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as it:
            problems = [row[0] for row in it.execute("PRAGMA integrity_check(1)")]
            orphans = it.execute("PRAGMA foreign_key_check").fetchone()
            revisions = {row[0] for row in it.execute("SELECT version_num FROM alembic_version")}
    except sqlite3.DatabaseError as error:
        raise BackupRefused(f"{database} is not a database of this portal: {error}.") from error
    if problems != ["ok"]:
        raise BackupRefused(f"{database} is damaged: {problems[0]}.")
    if orphans:
        raise BackupRefused(f"{database} is damaged: rows of {orphans[0]} have lost their parent.")
    if len(revisions) != 1 or not revisions <= schema.known():
        raise BackupRefused(f"{database} is of another version of the portal.")
    return str(revisions.pop())


def _copy(source: Path, target: Path) -> str:
    """Copy a consistent snapshot of `source` to a single file without a journal, and check it."""
    if not source.is_file():
        raise BackupRefused(f"There is no file {source}.")
    try:
        with (
            closing(sqlite3.connect(source, timeout=PATIENCE)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        raise BackupRefused(f"{source} cannot be copied: {error}.") from error
    return check(target)


def _set_aside(database: Path, now: datetime) -> Path:
    """Move the current database aside, unless it is in use."""
    try:
        with closing(sqlite3.connect(database, timeout=0)) as current:
            # Leaving WAL mode needs an exclusive connection, and empties the log.
            current.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        raise BackupRefused(
            f"{database} is in use. Stop the portal and its worker first."
        ) from error
    except sqlite3.DatabaseError:
        pass  # too damaged to open: the reason for restoring
    kept = database.with_name(f"{database.name}.before-{now:%Y%m%dT%H%M%S}")
    database.rename(kept)
    return kept


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """A temporary file beside `target`, removed unless it is moved into place."""
    if not target.parent.is_dir():
        raise BackupRefused(f"There is no folder {target.parent}.")
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _put(ready: Path, target: Path) -> None:
    """Rename the file into place, with fsync so that it survives a power cut."""
    for path in (ready, target.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == ready:
            ready.replace(target)
