"""The rows of an uploaded table, read by a child process within limits."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import IO

from portal.domain import sandbox
from portal.domain.errors import FileRefused
from portal.domain.imports.tabular import Row

_MEMORY = 256 * 1024 * 1024  # bytes
_TEXTS = 128 * 1024 * 1024  # bytes: the texts of a workbook lie on disk
# While somebody waits; and for the worker. The clock runs while the reader stores rows, too.
HASTY = sandbox.Limits(memory=_MEMORY, processor=2, clock=10, file=_TEXTS)
PATIENT = sandbox.Limits(memory=_MEMORY, processor=120, clock=1800, file=_TEXTS)


@contextmanager
def opened(file: IO[bytes], limits: sandbox.Limits = PATIENT) -> Iterator[Iterator[Row]]:
    """The rows of a file that have something in them.

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
