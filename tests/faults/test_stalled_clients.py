"""Clients that stop in the middle of a request, or of a response, stop nobody else."""

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import CONTRACT
from tests.api.programs import admin
from tests.factories import PASSWORD
from tests.pages import Page
from tests.servers import serve

pytestmark = pytest.mark.gunicorn

PATIENCE = 20  # seconds for a response; far less than a client needs to be cut off in
SILENT = 3  # seconds without a response
GTHREAD = {"GUNICORN_CMD_ARGS": "--worker-class gthread"}
HOST = b"Host: 127.0.0.1\r\n"
FORM = HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
SCRIPT = b"GET /static/vendor/htmx.min.js HTTP/1.1\r\n" + HOST + b"\r\n"
PING = b"GET /healthz HTTP/1.1\r\n" + HOST

# What a client sends before it stops, and whether it reads what it is told.
STALLS = {
    "nothing sent": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHos",
    "no body": b"POST /validation HTTP/1.1\r\n" + FORM + b"Content-Length: 30\r\n\r\n",
    "half a body": b"POST /validation HTTP/1.1\r\n" + FORM + b"Content-Length: 30\r\n\r\ncode=K7",
    "half a large body": b"POST /validation HTTP/1.1\r\n"
    + FORM
    + b"Content-Length: 900000\r\n\r\ncode="
    + b"K" * 9000,
    "endless chunks": b"POST /validation HTTP/1.1\r\n"
    + FORM
    + b"Transfer-Encoding: chunked\r\n\r\n5\r\ncode=\r\n",
    "waiting to go on": b"POST /validation HTTP/1.1\r\n"
    + FORM
    + b"Expect: 100-continue\r\nContent-Length: 30\r\n\r\n",
    "kept alive": PING + b"\r\n",
    "not hanging up": PING + b"Connection: close\r\n\r\n",
    "response not read": SCRIPT,
    "pipelined, nothing read": SCRIPT * 100,
}


@dataclass(frozen=True)
class Portal:
    """A running portal, and a code that is good there."""

    url: str
    code: str

    def answers(self, patience: float = PATIENCE) -> None:
        """Fail unless a health check and a look at the code are answered."""
        for path in ("/healthz", f"/api/v1/invitation/{self.code}"):
            response = httpx.get(self.url + path, timeout=patience, trust_env=False)
            assert response.status_code == 200, response.text


@pytest.fixture(scope="module")
def database(engine: str, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database of this module, as long as the module's tests run."""
    if engine == "postgres":
        return migrated
    copy = tmp_path_factory.mktemp("stalled") / "portal.db"
    return f"sqlite:///{shutil.copy(migrated.removeprefix('sqlite:///'), copy)}"


@contextmanager
def running(database: str, **environment: str) -> Iterator[Portal]:
    """A portal with two processes of four threads."""
    with serve(database, **CONTRACT, **environment) as url:
        program, _ = admin(url)
        yield Portal(url, program.generate())


@pytest.fixture(scope="module")
def portal(database: str) -> Iterator[Portal]:
    """The portal as it is served."""
    with running(database) as portal:
        yield portal


@pytest.fixture
def stall(portal: Portal) -> Iterator[Callable[[str], socket.socket]]:
    """Open a connection that stops there."""
    with stalling(portal.url) as stall:
        yield stall


@contextmanager
def stalling(url: str) -> Iterator[Callable[[str], socket.socket]]:
    """Open connections to that address, and close them at the end."""
    address = httpx.URL(url)
    opened = []

    def stall(kind: str) -> socket.socket:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # little is read ahead
        connection.settimeout(PATIENCE)
        connection.connect((address.host, address.port))
        connection.sendall(STALLS[kind])
        opened.append(connection)
        return connection

    try:
        yield stall
    finally:
        for connection in opened:
            connection.close()


def is_open(connection: socket.socket) -> bool:
    """Whether the portal has not hung up; what it said before is not looked at."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    finally:
        connection.settimeout(PATIENCE)


# case 84
@pytest.mark.parametrize("count", [8, 100, 500])
@pytest.mark.parametrize("kind", [*STALLS, "all of them"])
def test_stalled_clients_stop_nobody_else(
    portal: Portal, stall: Callable[[str], socket.socket], kind: str, count: int
) -> None:
    kinds = list(STALLS) if kind == "all of them" else [kind]
    stalled = [stall(kinds[number % len(kinds)]) for number in range(count)]

    for _ in range(4):  # each may come to either process
        portal.answers()
        if kind == "half a head":
            for connection in stalled:
                connection.sendall(b"t")
    if kind not in {"kept alive", "not hanging up", "all of them"}:
        assert all(is_open(connection) for connection in stalled)


# case 84
def test_the_threads_of_gunicorn_alone_would_all_wait(database: str) -> None:
    with running(database, **GTHREAD) as portal, stalling(portal.url) as stall:
        for kind in STALLS:
            for _ in range(8):
                stall(kind)

        with pytest.raises(httpx.TimeoutException):
            portal.answers(SILENT)


# case 84
def test_an_upload_that_stops_is_told_so(database: str) -> None:
    """It is larger than what the poller keeps, so a thread reads it, and the portal answers."""
    worker = {"GUNICORN_CMD_ARGS": "--worker-class tests.ops.hasty_worker.BufferingWorker"}
    with running(database, **worker) as portal, stalling(portal.url) as stall:
        upload = stall("nothing sent")
        head = b"Content-Length: 3000000\r\nCookie: %s\r\n\r\n" % session_cookie(portal.url)
        upload.sendall(b"POST /account/picture HTTP/1.1\r\n" + FORM + head + b"picture=")
        with suppress(BrokenPipeError):  # on a busy machine the answer comes before all is sent
            upload.sendall(b"a" * 2_000_000)
        response = b"".join(iter(lambda: upload.recv(65536), b""))

    assert response.startswith(b"HTTP/1.1 408 ")
    assert b"That took too long to arrive. Please send it again." in response


def session_cookie(url: str) -> bytes:
    """The cookie of somebody who has just registered."""
    with httpx.Client(base_url=url, trust_env=False) as browser:
        name = f"alice{uuid4().hex[:8]}"
        person = {"username": name, "email": f"{name}@example.org", "code": ""}
        password = {"password": PASSWORD, "confirmation": PASSWORD}
        token = Page(browser.get("/register").text).fields["csrf_token"]
        browser.post("/register", data={"csrf_token": token} | person | password)
        return f"session={browser.cookies['session']}".encode()
