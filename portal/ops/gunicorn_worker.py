"""gunicorn's threaded worker, except that its poller waits for clients, not its threads.

gunicorn gives each new connection to a thread, which then waits for the request, for its body, and
for the client to take the response: eight clients that do none of it block two workers with four
threads each. Here the poller (the worker's main thread) receives requests and sends the rest of
responses for all connections; a thread only gets requests that have arrived. A client has

- 10 seconds for its first byte and 10 for the head, or gets a 408 (RFC 9110, 15.5.9);
- 30 seconds for the body, extended by a second for each kilobyte, or gets a 408;
- the same to take its response, or is cut off;
- `keepalive` seconds until its next request, and 2 to hang up after its last (RFC 9112, 9.6).

If connections or memory run out, the connection nearest its deadline is closed, idle ones first.
Bodies beyond `BODY_LIMIT` are read by threads (see `client_socket`).

This builds on gunicorn internals that any release may change; `tests/ops` would notice.
"""

import errno
import resource
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from time import monotonic
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from portal.ops.client_socket import PATIENCE, ClientSocket, WaitingPlaces
from portal.ops.http_framing import Framing, Progress

HEAD_PATIENCE = 10.0  # seconds
LINGER = 2.0  # seconds
LINGER_LIMIT = 64 * 1024  # bytes
MEMORY_LIMIT = 32 * 1024 * 1024  # bytes of waiting requests and responses, per process
FILES_FOR_OTHERS = 128  # descriptors: databases, uploads, logs
_OUT_OF_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def room_for_connections(worker_connections: int) -> int:
    """The number of connections a process may hold: below its limit of open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return worker_connections
    return max(1, min(worker_connections, files - FILES_FOR_OTHERS))


class Connection(TConn):  # type: ignore[misc] # gunicorn ships no types
    """A connection, and its state between two requests."""

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.sock = sock
        self.data_ready = True  # a thread that gets this has nothing to wait for
        self.is_kept_alive = True
        self.weight = 0  # bytes, as counted by the worker
        self.drained = 0  # bytes that came after the last response
        self.expect_request()

    def expect_request(self) -> None:
        """Prepare for the next request."""
        # The limit of gunicorn's `Message.__init__`, so that gunicorn itself rejects longer heads.
        fields = self.cfg.limit_request_fields * (self.cfg.limit_request_field_size + 2) + 4
        self.framing = Framing(self.cfg.limit_request_line + fields)
        self.progress = Progress.NOTHING

    @property
    def is_idle(self) -> bool:
        """Whether it can be closed without loss: no request has begun, or the response is sent."""
        return not self.sock.unsent and (
            not self.is_kept_alive or self.progress is Progress.NOTHING
        )


class BufferingWorker(ThreadWorker):  # type: ignore[misc] # gunicorn ships no types
    """Receives requests and sends responses in the poller, and runs the application in threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.worker_connections = room_for_connections(self.cfg.worker_connections)
        self.cfg.set("sendfile", False)  # sendfile would bypass ClientSocket.sendall
        # The callback of each connection that waits for an event.
        self.waiting: dict[Connection, Callable[[Connection], None]] = {}
        self.places = WaitingPlaces(max(1, self.cfg.threads // 2))
        self.weight = 0  # bytes
        self.next_sweep = 0.0
        self.is_stopping = False

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse to start with settings the poller does not support."""
        super().check_config(cfg, log)
        if cfg.is_ssl or cfg.protocol != "http" or cfg.proxy_protocol != "off":
            raise RuntimeError("The portal speaks HTTP/1.1; TLS and other protocols are a proxy's.")

    # --- A connection comes, is waited for, and ends ---

    def accept(self, listener: Any) -> None:
        """Accept a new connection and begin to receive."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno in _OUT_OF_ROOM:
                self._make_room(self.nr_conns - 1)
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                raise
            return
        self.nr_conns += 1
        sock = ClientSocket(accepted, self.places)
        sock.patience = HEAD_PATIENCE
        self._receive(Connection(self.cfg, sock, address, listener.getsockname()))

    def _wait(self, conn: Connection, event: int, go_on: Callable[[Connection], None]) -> None:
        conn.sock.begin_waiting()
        self._weigh(conn)
        self.poller.register(conn.sock, event, partial(self._on_ready, conn))
        self.waiting[conn] = go_on

    def _on_ready(self, conn: Connection, _sock: ClientSocket) -> None:
        if conn in self.waiting:  # unless an earlier event of this round has closed it
            self._take(conn)(conn)

    def _take(self, conn: Connection) -> Callable[[Connection], None]:
        """Stop waiting for the connection; return its callback."""
        self.poller.unregister(conn.sock)
        conn.sock.end_waiting()
        return self.waiting.pop(conn)

    def _weigh(self, conn: Connection) -> None:
        weight = len(conn.sock.received) + len(conn.sock.unsent)
        self.weight += weight - conn.weight
        conn.weight = weight

    def _close(self, conn: Connection) -> None:
        self.weight -= conn.weight
        self.nr_conns -= 1
        conn.close()

    # --- Its request arrives ---

    def _receive(self, conn: Connection) -> None:
        try:
            has_sent = conn.sock.receive()
        except BlockingIOError:
            self._wait(conn, EVENT_READ, self._receive)
        except OSError:
            self._close(conn)
        else:
            if not has_sent:
                self._close(conn)
                return
            if conn.progress is Progress.BODY:
                conn.sock.earn(has_sent)
            self._look(conn)

    def _look(self, conn: Connection) -> None:
        """Queue the request for a thread once it is complete."""
        sock, before = conn.sock, conn.progress
        conn.progress = conn.framing.look(sock.received)
        if conn.progress in {Progress.ENOUGH, Progress.LARGE}:
            sock.is_whole = conn.progress is Progress.ENOUGH
            sock.patience = PATIENCE
            self._weigh(conn)
            self.enqueue_req(conn)
            return
        if conn.progress is not before:
            sock.patience = PATIENCE if conn.progress is Progress.BODY else HEAD_PATIENCE
        if conn.progress is Progress.BODY and conn.framing.expects_continue:
            conn.framing.expects_continue = False
            with suppress(OSError):  # broken: the next read will show it
                sock.sendall(_CONTINUE)
        self._wait(conn, EVENT_READ, self._receive)

    # --- A thread works on it ---

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Run the application. A client that expected 100 Continue has got it already."""
        req._expected_100_continue = False
        if not conn.sock.is_whole:
            req.force_close()  # the rest of the body is not worth waiting for (RFC 9112, 9.6)
        return super().handle_request(req, conn)

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Take the connection back from its thread."""
        sock = conn.sock
        is_reusable = sock.is_whole and not sock.is_overdrawn  # or what follows may be a body
        is_kept = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        conn.is_kept_alive = is_kept and is_reusable
        if conn.is_kept_alive:
            # Bytes that gunicorn read ahead belong to the next request.
            sock.received[:0] = conn.parser.unreader.take_buffered()
            conn.expect_request()
        else:
            sock.received.clear()
        sock.patience = PATIENCE
        self._flush(conn)

    # --- Its response is sent ---

    def _flush(self, conn: Connection) -> None:
        try:
            conn.sock.flush()
        except OSError:  # broken, or closed by gunicorn already
            self._close(conn)
            return
        if conn.sock.unsent:
            self._wait(conn, EVENT_WRITE, self._flush)
        elif not conn.is_kept_alive:
            self._hang_up(conn)
        else:
            conn.sock.patience = self.cfg.keepalive
            if conn.sock.received:
                self._look(conn)
            else:
                self._receive(conn)

    def _hang_up(self, conn: Connection) -> None:
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.sock.patience = LINGER
        self._drain(conn)

    def _drain(self, conn: Connection) -> None:
        """Read until the client hangs up; closing earlier could lose the response."""
        try:
            has_sent = conn.sock.receive()
        except BlockingIOError:
            self._wait(conn, EVENT_READ, self._drain)
            return
        except OSError:
            has_sent = 0
        conn.sock.received.clear()
        conn.drained += has_sent
        if has_sent and conn.drained < LINGER_LIMIT:
            self._wait(conn, EVENT_READ, self._drain)
        else:
            self._close(conn)

    # --- Time and room run out ---

    def murder_pending(self) -> None:
        """Close connections that are out of time or room; gunicorn calls this after each round."""
        if self.nr_conns >= self.worker_connections or self.weight > MEMORY_LIMIT:
            self._make_room(self.worker_connections - 1)
        now = monotonic()
        if now < self.next_sweep:
            return
        self.next_sweep = now + 1
        if not self.alive and not self.is_stopping:
            self._begin_to_stop(now)
        for conn in [conn for conn in self.waiting if conn.sock.deadline <= now]:
            self._time_out(conn)

    def _make_room(self, most: int) -> None:
        """Close idle connections, then the slowest, until `most` are left and memory fits."""
        by_urgency = sorted(self.waiting, key=lambda conn: (not conn.is_idle, conn.sock.deadline))
        for conn in by_urgency:
            if self.nr_conns > most or (self.weight > MEMORY_LIMIT and conn.weight):
                self._take(conn)
                self._close(conn)

    def _begin_to_stop(self, now: float) -> None:
        """Cut the deadlines of idle connections; the others have `graceful_timeout`."""
        self.is_stopping = True
        for conn in self.waiting:
            if conn.is_idle:
                conn.sock.deadline = min(conn.sock.deadline, now + STOP_KEEPALIVE_LINGER)

    def _time_out(self, conn: Connection) -> None:
        is_receiving = self._take(conn) == self._receive
        if not is_receiving or conn.progress is Progress.NOTHING:
            self._close(conn)
            return
        conn.is_kept_alive = False
        sentence = "The request took too long to arrive. Please send it again."
        with suppress(OSError):  # broken: the flush will show it
            util.write_error(conn.sock, 408, "Request Timeout", sentence)
        self._flush(conn)
