"""A client's connection on which gunicorn's threads need not wait for the client.

What a thread reads has been received before, and what it writes is sent later where the network
does not take it at once. Only a body or a response beyond a megabyte makes a thread wait, in one of
a few places (`WaitingPlaces`).
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

PATIENCE = 30.0  # seconds a client may keep us waiting while it sends a body or takes a response;
BYTES_PER_SECOND = 1000  # each of these earns a second back, up to PATIENCE
UNSENT_LIMIT = 1024 * 1024  # bytes of a response that are kept for a client
_PIECE = 64 * 1024  # bytes


class ClientSocket(socket.socket):
    """A non-blocking socket with what has arrived and what is still to be sent.

    It belongs either to the poller or to one thread, never to both; only `abort` may come from
    elsewhere.
    """

    def __init__(self, accepted: socket.socket, places: "WaitingPlaces") -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        super().setblocking(False)
        self.received = bytearray()
        self.unsent = bytearray()
        self.is_whole = True  # there is no more of the request than `received`
        self.is_overdrawn = False  # gunicorn wanted more than that
        self.patience = PATIENCE  # seconds
        self.deadline = 0.0  # while the client is waited for
        self._places = places

    def setblocking(self, flag: bool) -> None:
        """Nothing: gunicorn makes its sockets block for its threads, and this one never does."""

    def settimeout(self, value: float | None) -> None:
        """Nothing: `patience` is the timeout."""

    def begin_waiting(self) -> None:
        """From now on the client is waited for. Time that the portal takes itself never counts."""
        self.deadline = monotonic() + self.patience

    def end_waiting(self) -> None:
        """The client has done something."""
        self.patience = self.deadline - monotonic()

    def earn(self, transferred: int) -> None:
        """The client took part: that many bytes went over the wire."""
        self.patience = min(self.patience + transferred / BYTES_PER_SECOND, PATIENCE)

    # --- For the poller ---

    def receive(self) -> int:
        """Take what has arrived; return how many bytes: 0 once the client has hung up.

        Raises `BlockingIOError` where nothing has, and other `OSError`s of a broken connection.
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
        """What has arrived; of a large body also what is still to come.

        Raises `RequestTimeout` if that takes too long, and `ClientDisconnected` if it never comes:
        half a body must not be taken for a whole one.
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
        """Send it, or keep it to be sent; wait for the client only where too much is kept.

        Raises `ConnectionResetError` if the client does not take its response.
        """
        self.unsent += data
        self.flush()
        while len(self.unsent) > UNSENT_LIMIT:
            if not self._wait_for_client(select.POLLOUT):
                raise ConnectionResetError(errno.ECONNRESET, "the client does not read")
            self.flush()

    def _wait_for_client(self, event: int) -> bool:
        """Whether the client did its part before its time was up."""
        self.begin_waiting()
        poller = select.poll()
        poller.register(self, event)
        with self._places.taken_by(self):
            ready = poller.poll(max(0.0, self.patience) * 1000)
        self.end_waiting()
        return bool(ready)

    def abort(self) -> None:
        """End the connection, and the wait of the thread that has it."""
        with suppress(OSError):  # it is gone already
            self.shutdown(socket.SHUT_RDWR)


class WaitingPlaces:
    """Where threads wait for their clients: a few of all threads, so that the others never do.

    Who comes when all places are taken, takes that of the client which is nearest to its deadline:
    it has sent, or read, the least for the longest time.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = Lock()
        self._taken: set[ClientSocket] = set()

    @contextmanager
    def taken_by(self, client: ClientSocket) -> Iterator[None]:
        """A place while the client is waited for."""
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
