"""Decodes a table row by row. Runs in a child process (`portal.domain.sandbox`)."""

import json
from datetime import datetime
from typing import IO

from portal.domain.imports import tabular


def decode(source: IO[bytes], target: IO[bytes]) -> None:
    """Write each row as a line of JSON: its number and its cells. Raises `FileRefused`.

    A time becomes an object with the field `time`.
    """
    with tabular.opened(source) as rows:
        for row in rows:
            line = json.dumps([row.number, row.cells], default=_time)
            target.write(line.encode() + b"\n")


def _time(cell: datetime) -> dict[str, str]:
    return {"time": cell.isoformat()}
