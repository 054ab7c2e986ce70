"""A client connection that does not make gunicorn's threads wait for the client.

A thread reads what has been received already, and what the network does not take at once is
sent later. Only a body or a response over a megabyte makes a thread wait, in one of a few places
(`WaitingPlaces`).
"""

import errno
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from werkzeug.exceptions import ClientDisconnected, RequestTimeout

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PATIENCE = 30.0  # seconds to wait for a client that sends a body or takes a response
BYTES_PER_SECOND = 1000  # each of these earns a second back, up to PATIENCE
UNSENT_LIMIT = 1024 * 1024  # bytes of a response to buffer for a client
_PIECE = 64 * 1024  # bytes


class ClientSocket(socket.socket):
    """A non-blocking socket with the buffers of received and unsent bytes.

    Either the poller or one thread owns it, never both; only `abort` may be called from another
    thread.
    """

    def __init__(self, accepted: socket.socket, places: "WaitingPlaces") -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self.received = bytearray()
        self.unsent = bytearray()
        self.is_whole = True  # `received` holds the rest of the request
        self.is_overdrawn = False  # gunicorn tried to read more than that
        self.patience = PATIENCE  # seconds
        self.deadline = 0.0  # only meaningful while waiting for the client
        self._places = places

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn makes sockets block for its threads, but this one never does."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing: `patience` is the timeout."""

    def begin_waiting(self) -> None:
        """Start the clock: only time spent waiting for the client counts, not our own."""
        self.deadline = monotonic() + self.patience

    def end_waiting(self) -> None:
        """Stop the clock."""
        self.patience = self.deadline - monotonic()

    def earn(self, transferred: int) -> None:
        """Extend the patience for the bytes transferred."""
        self.patience = min(self.patience + transferred / BYTES_PER_SECOND, PATIENCE)

    # --- For the poller ---

    def receive(self) -> int:
        """Buffer what has arrived; return the number of bytes, 0 once the client has hung up.

        Raises `BlockingIOError` if nothing has arrived, and other `OSError`s for a broken
        connection.
        """
        data = super().recv(_PIECE)
        self.received += data
        return len(data)

    def flush(self) -> None:
        """Send what the network takes at once. Raises `OSError` if the connection is broken."""
        if not self.unsent:
            return
        try:
            sent = super().send(self.unsent)
        except BlockingIOError:
            return
        del self.unsent[:sent]
        self.earn(sent)

    # --- For gunicorn, in a thread ---

    def recv(self, bufsize: int, _flags: int = 0) -> bytes:
        """Return buffered bytes; wait for more of a large body if there are none.

        Raises `RequestTimeout` if that takes too long, and `ClientDisconnected` if the client hangs
        up: an incomplete body must not be taken for a complete one.
        """
        if self.received:
            data = bytes(self.received[:bufsize])
            del self.received[:bufsize]
            return data
        if self.is_whole:
            self.is_overdrawn = True
            return b""
        while True:
            try:
                data = super().recv(bufsize)
            except BlockingIOError:
                if not self._wait_for_client(select.POLLIN):
                    raise RequestTimeout from None
                continue
            if not data:
                raise ClientDisconnected
            self.earn(len(data))
            return data

    def sendall(self, data: "ReadableBuffer", _flags: int = 0) -> None:
        """Send or buffer `data`; wait for the client only if too much is buffered.

        Raises `ConnectionResetError` if the client does not read its response.
        """
        self.unsent += data
        self.flush()
        while len(self.unsent) > UNSENT_LIMIT:
            if not self._wait_for_client(select.POLLOUT):
                raise ConnectionResetError(errno.ECONNRESET, "the client does not read")
            self.flush()

    def _wait_for_client(self, event: int) -> bool:
        """Wait for the client; return whether it was ready in time."""
        self.begin_waiting()
        poller = select.poll()
        poller.register(self, event)
        with self._places.taken_by(self):
            ready = poller.poll(max(0.0, self.patience) * 1000)
        self.end_waiting()
        return bool(ready)

    def abort(self) -> None:
        """Shut the connection down, which also wakes a thread that waits on it."""
        with suppress(OSError):  # it is gone already
            self.shutdown(socket.SHUT_RDWR)


class WaitingPlaces:
    """Limits how many threads wait for clients at a time, so that the others stay free.

    When all places are taken, a new client evicts the one nearest to its deadline: the slowest.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = Lock()
        self._taken: set[ClientSocket] = set()

    @contextmanager
    def taken_by(self, client: ClientSocket) -> Iterator[None]:
        """Hold a place while waiting for the client."""
        with self._lock:
            if len(self._taken) >= self._count:
                slowest = min(self._taken, key=lambda waiting: waiting.deadline)
                self._taken.remove(slowest)
                slowest.abort()
            self._taken.add(client)
        try:
            yield
        finally:
            with self._lock:
                self._taken.discard(client)
