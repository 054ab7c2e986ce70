"""Detects when a complete HTTP/1.1 request has arrived (RFC 9112).

This only decides *when* a request is handed to gunicorn, never what it means: gunicorn's parser
reads the same bytes afterwards, and it alone interprets and rejects them. If a head contradicts
itself (two lengths, or a length and chunks), nothing more is awaited, and gunicorn responds 400.
"""

import re
from enum import Enum, auto

BODY_LIMIT = 1024 * 1024  # bytes; longer bodies are read by the thread that handles the request

_FRAMING_FIELD = re.compile(
    rb"\r\n(content-length|transfer-encoding):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
_EXPECT_FIELD = re.compile(rb"\r\nexpect:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)
_BARE_LF = re.compile(rb"(?<!\r)\n")
_CHUNK_SIZE = re.compile(rb"[0-9a-f]{1,16}(?=[ \t]*[;\r])", re.IGNORECASE)
_LONGEST_LENGTH = 18  # digits


class Progress(Enum):
    """How much of a request has arrived."""

    NOTHING = auto()
    HEAD = auto()  # part of its head
    BODY = auto()  # its head, and part of its body
    ENOUGH = auto()  # all of it, or enough to reject it
    LARGE = auto()  # its head, and BODY_LIMIT bytes of a longer body


class Framing:
    """Follows one request as it arrives, scanning every byte about once."""

    def __init__(self, head_limit: int) -> None:
        self.expects_continue = False  # the client waits for a 100 before it sends the body
        self._head_limit = head_limit  # bytes
        self._resume_at = 0  # where to resume the search for an end
        self._body_start = 0  # 0: the head is still arriving
        self._end: int | None = None  # None: not known yet

    def look(self, received: bytearray) -> Progress:
        """How much has arrived; `received` holds all bytes of the request so far."""
        if not self._body_start:
            head_end = received.find(b"\r\n\r\n", self._resume_at)
            if head_end < 0:
                return self._without_head(received)
            self._body_start = self._resume_at = head_end + 4
            self._end = self._end_by_head(bytes(received[: self._body_start]))
        if self._end is None:
            self._end = self._end_by_chunks(received)
        if self._end is not None and len(received) >= self._end:
            return Progress.ENOUGH
        if len(received) - self._body_start >= BODY_LIMIT:
            return Progress.LARGE
        return Progress.BODY

    def _without_head(self, received: bytearray) -> Progress:
        if not received:
            return Progress.NOTHING
        # RFC 9112, 2.2: every line ends with CRLF. gunicorn rejects a bare LF, and heads over the
        # limit.
        if _BARE_LF.search(received, self._resume_at) or len(received) > self._head_limit:
            return Progress.ENOUGH
        self._resume_at = max(0, len(received) - 3)
        return Progress.HEAD

    def _end_by_head(self, head: bytes) -> int | None:
        """Where the request ends; None if its chunks determine it (RFC 9112, 6.3)."""
        expectation = _EXPECT_FIELD.search(head)
        if expectation and expectation[1].lower() != b"100-continue":
            return len(head)  # gunicorn responds 417, whatever follows (RFC 9110, 10.1.1)
        # HTTP/1.0 clients do not understand 100.
        self.expects_continue = bool(expectation) and b" HTTP/1.1\r\n" in head
        match [(name.lower(), value) for name, value in _FRAMING_FIELD.findall(head)]:
            case [(b"content-length", length)] if (
                length.isdigit() and len(length) <= _LONGEST_LENGTH
            ):
                return len(head) + int(length)
            case [(b"transfer-encoding", coding)] if coding.lower().endswith(b"chunked"):
                return None
        return len(head)

    def _end_by_chunks(self, received: bytearray) -> int | None:
        """Where the trailer section ends; None if it has not arrived yet (RFC 9112, 7.1)."""
        while (line_end := received.find(b"\r\n", self._resume_at)) >= 0:
            size = _CHUNK_SIZE.match(received, self._resume_at)
            if not size:
                return line_end  # not a chunk: rejected
            if int(size[0], 16) == 0:
                trailers_end = received.find(b"\r\n\r\n", line_end)
                if trailers_end >= 0:
                    return trailers_end + 4
                break
            self._resume_at = line_end + 2 + int(size[0], 16) + 2
        too_long = len(received) - self._resume_at > self._head_limit
        return len(received) if too_long else None
