"""JSON encoding for responses and log lines."""

from collections.abc import Callable
from datetime import date
from json import JSONEncoder
from typing import Any

import orjson


class Encoder:
    """Encodes JSON as ASCII without spaces; ASCII keeps terminal escapes out of the log.

    orjson is many times faster than the standard library, which takes over for what orjson cannot
    encode: non-ASCII characters as escapes, lone surrogates, numeric keys. Times are written as by
    `isoformat` (RFC 3339); calling it would take longer than the rest of a short response. UTC is
    `+00:00`, or else `Z`. `default` converts values that JSON has no form for.
    """

    def __init__(self, default: Callable[[Any], Any], *, utc: str = "+00:00") -> None:
        self._default = default
        self._utc = utc
        as_z = orjson.OPT_UTC_Z if utc == "Z" else 0
        self._options = as_z | orjson.OPT_PASSTHROUGH_DATACLASS
        self._thorough = JSONEncoder(default=self._written, separators=(",", ":"))

    def encode(self, value: object) -> bytes:
        """Encode `value` as JSON; raises what `default` raises."""
        try:
            written = orjson.dumps(value, self._default, self._options)
        except orjson.JSONEncodeError:
            return self._thoroughly(value)
        return written if written.isascii() else self._thoroughly(value)

    def _thoroughly(self, value: object) -> bytes:
        return self._thorough.encode(value).encode()

    def _written(self, value: object) -> object:
        if isinstance(value, date):  # a datetime is a date too
            return value.isoformat().replace("+00:00", self._utc)
        return self._default(value)
