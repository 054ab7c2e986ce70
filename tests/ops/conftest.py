"""gunicorn with the worker under test, and clients that write every byte themselves."""

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from portal.config import ROOT

PATIENCE = 30  # seconds until a test fails
BUFFERING = "portal.ops.gunicorn_worker.BufferingWorker"
HASTY = "tests.ops.hasty_worker.BufferingWorker"
FORGETFUL = "tests.ops.forgetful_worker.BufferingWorker"


class Client:
    """A connection to the server, whose bytes are written by hand."""

    def __init__(self, port: int, *sent: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._received = b""
        for data in sent:
            self.send(data)

    def patience(self, seconds: float) -> None:
        """Wait so long for the server, and no longer."""
        self._socket.settimeout(seconds)

    def send(self, data: bytes) -> None:
        """Send it."""
        self._socket.sendall(data)

    def send_some(self, data: bytes) -> None:
        """Send as much of it as is taken at once."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            self._socket.sendall(data)
        self._socket.settimeout(PATIENCE)

    def read_line(self) -> bytes:
        """The next line of what the server says; empty once it has hung up."""
        while b"\n" not in self._received:
            data = self._socket.recv(65536)
            if not data:
                break
            self._received += data
        line, end, self._received = self._received.partition(b"\n")
        return line + end

    def read_response(self) -> tuple[str, bytes]:
        """The next response: its status line and headers, and its body."""
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := self.read_line()):
            head += line
        text = head.decode()
        length = text.lower().partition("content-length: ")[2].partition("\r\n")[0]
        while len(self._received) < int(length or 0):
            data = self._socket.recv(65536)
            assert data, "the response was cut off"
            self._received += data
        body = self._received[: int(length or 0)]
        self._received = self._received[len(body) :]
        return text, body

    def read_to_the_end(self) -> bytes:
        """All that the server says before it hangs up."""
        try:
            while data := self._socket.recv(65536):
                self._received += data
        except ConnectionResetError:
            pass
        return self._received

    def has_been_closed(self) -> bool:
        """Whether the server has hung up without having said anything."""
        self._socket.setblocking(False)
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)

    def break_off(self) -> None:
        """Reset the connection."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Server:
    """A running gunicorn."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self._port = port
        self._clients: list[Client] = []

    def connect(self, *sent: bytes) -> Client:
        """A new connection, on which that has been sent."""
        client = Client(self._port, *sent)
        self._clients.append(client)
        return client

    def ask(self, request: bytes) -> tuple[str, bytes]:
        """Send a request on a connection of its own, and read the response."""
        client = Client(self._port, request)
        try:
            return client.read_response()
        finally:
            client.close()

    def is_silent(self, request: bytes, *, seconds: float) -> bool:
        """Whether a request goes unanswered for so long."""
        client = self.connect(request)
        client.patience(seconds)
        try:
            return not client.read_line()
        except TimeoutError:
            return True

    def statuses(self, sent: bytes) -> list[str]:
        """The statuses of all responses to what was sent, until the server hangs up."""
        client = Client(self._port, sent)
        lines = client.read_to_the_end().split(b"\r\n")
        client.close()
        return [line.split()[1].decode() for line in lines if line.startswith(b"HTTP/1.")]

    def worker(self) -> int:
        """The process id of its worker."""
        return int(self.ask(b"GET /pid HTTP/1.1\r\n\r\n")[1])

    def begin_to_stop(self) -> None:
        """Ask it to stop gracefully."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status."""
        return self._process.wait(PATIENCE)

    def stop(self) -> None:
        """Hang up, and end it."""
        for client in self._clients:
            client.close()
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        finally:
            self._process.kill()


@contextmanager
def serve(worker: str, *options: str, files: int | None = None) -> Iterator[Server]:
    """One process of that worker with four threads, and so many files at most."""

    def limit_files() -> None:
        if files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = ("--config", str(Path(__file__).with_name("gunicorn_settings.py")))
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", *settings, "--worker-class", worker),
                *("--bind", f"fd://{listener.fileno()}", *options, "tests.ops.echo:app"),
            ],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            pass_fds=[listener.fileno()],
            preexec_fn=limit_files,  # noqa: PLW1509 - no thread of ours runs meanwhile
        )
        server = Server(process, listener.getsockname()[1])
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The worker as the portal has it."""
    with serve(BUFFERING) as server:
        yield server


@pytest.fixture(scope="session")
def plain_server() -> Iterator[Server]:
    """gunicorn's own threaded worker."""
    with serve("gthread") as server:
        yield server


@pytest.fixture(scope="session")
def hasty_server() -> Iterator[Server]:
    """The worker with short deadlines."""
    with serve(HASTY, "--keep-alive", "1") as server:
        yield server
