"""JSON as it leaves the portal: answers and log lines."""

from collections.abc import Callable
from datetime import date
from json import JSONEncoder
from typing import Any

import orjson


class Encoder:
    """Writes JSON in ASCII, without spaces: a log that is read in a terminal moves no cursor there.

    orjson does so many times as quickly as the standard library, which writes what orjson will
    not: other letters as escapes, halves of surrogate pairs, keys that are numbers. Times are
    written as `isoformat` does (RFC 3339), which takes longer than all the rest of a short answer;
    UTC is `+00:00`, or else `Z`. `default` says what is written instead of something that JSON has
    no form for.
    """

    def __init__(self, default: Callable[[Any], Any], *, utc: str = "+00:00") -> None:
        self._default = default
        self._utc = utc
        as_z = orjson.OPT_UTC_Z if utc == "Z" else 0
        self._options = as_z | orjson.OPT_PASSTHROUGH_DATACLASS
        self._thorough = JSONEncoder(default=self._written, separators=(",", ":"))

    def encode(self, value: object) -> bytes:
        """`value` as JSON; raises what `default` raises."""
        try:
            written = orjson.dumps(value, self._default, self._options)
        except orjson.JSONEncodeError:
            return self._thoroughly(value)
        return written if written.isascii() else self._thoroughly(value)

    def _thoroughly(self, value: object) -> bytes:
        return self._thorough.encode(value).encode()

    def _written(self, value: object) -> object:
        if isinstance(value, date):  # a datetime is a date
            return value.isoformat().replace("+00:00", self._utc)
        return self._default(value)
