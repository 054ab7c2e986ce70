"""JSON as it leaves the portal: answers and log lines."""

from collections.abc import Callable
from json import JSONEncoder
from typing import Any

import orjson

# Flask has its own idea of times and data classes, and the log of everything it does not know.
OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


class Encoder:
    """Writes JSON in ASCII, without spaces: a log that is read in a terminal moves no cursor there.

    orjson does so many times as quickly as the standard library, which writes what orjson will
    not: other letters as escapes, halves of surrogate pairs, keys that are numbers. `default` says
    what is written instead of something that JSON has no form for.
    """

    def __init__(self, default: Callable[[Any], Any]) -> None:
        self._default = default
        self._thorough = JSONEncoder(default=default, separators=(",", ":"))

    def encode(self, value: object) -> bytes:
        """`value` as JSON; raises what `default` raises."""
        try:
            written = orjson.dumps(value, self._default, OPTIONS)
        except orjson.JSONEncodeError:
            return self._thoroughly(value)
        return written if written.isascii() else self._thoroughly(value)

    def _thoroughly(self, value: object) -> bytes:
        return self._thorough.encode(value).encode()
