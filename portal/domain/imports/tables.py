"""Rows of an uploaded table, decoded by a sandboxed child process."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import IO

from portal.domain import sandbox
from portal.domain.errors import FileRefused
from portal.domain.imports.tabular import Row

_MEMORY = 256 * 1024 * 1024  # bytes
_TEXTS = 128 * 1024 * 1024  # bytes: a workbook's texts are spooled to disk
# For web requests, and for the worker. The clock includes the time spent storing rows.
HASTY = sandbox.Limits(memory=_MEMORY, processor=2, clock=10, file=_TEXTS)
PATIENT = sandbox.Limits(memory=_MEMORY, processor=120, clock=1800, file=_TEXTS)


@contextmanager
def opened(file: IO[bytes], limits: sandbox.Limits = PATIENT) -> Iterator[Iterator[Row]]:
    """The non-empty rows of a file.

    Raises `FileRefused`, `DecodersBusy` and `sandbox.DecoderStopped`, at any row.
    """
    with closing(_rows(file, limits)) as rows:
        yield rows


def _rows(file: IO[bytes], limits: sandbox.Limits) -> Generator[Row]:
    try:
        with closing(sandbox.decode("portal.domain.imports.table_decoder", file, limits)) as lines:
            for line in lines:
                yield Row(*json.loads(line, object_hook=_moment))
    except sandbox.DecoderRefused as refusal:
        raise FileRefused(str(refusal)) from refusal


def _moment(cell: dict[str, str]) -> datetime:
    return datetime.fromisoformat(cell["time"])
