"""The worker it speaks HTTP as gunicorn does, and no thread waits for a client."""

from hashlib import sha256
from time import sleep

import gunicorn
import pytest
from gunicorn.http import parser, unreader
from gunicorn.workers import base, gthread

from tests.ops.conftest import BUFFERING, FORGETFUL, Server, serve
from tests.ops.echo import BLOCK, BLOCKS

pytestmark = pytest.mark.gunicorn

MEGABYTE = 1024 * 1024
THREADS = 4
# What the worker overrides, calls and relies on lies in these. After an upgrade read what has
# changed in them, see that the worker still fits, and write the new digest here.
INTERNALS = {
    gthread: "2aa395873b3e9084",
    base: "9a39e0e16d623329",
    parser: "618c7c5a229709e5",
    unreader: "a28537df77eb34f0",
}


def get(path: str = "/", *fields: str) -> bytes:
    """A request without a body."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def post(body: bytes, path: str = "/", *fields: str) -> bytes:
    """A request with a body."""
    head = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


def echo(body: bytes, path: str = "/") -> bytes:
    """What the application says to `post`."""
    return f"POST {path} {len(body)} {sha256(body).hexdigest()}\n".encode()


def is_well(server: Server) -> bool:
    """Whether a request is answered now."""
    return server.ask(get())[0].startswith("HTTP/1.1 200 ")


# --- The version of gunicorn ---


@pytest.mark.parametrize("module", INTERNALS, ids=lambda module: module.__name__)
def test_gunicorn_is_the_one_the_worker_was_made_for(module: object) -> None:
    source = module.__spec__.loader.get_data(module.__file__)  # type: ignore[attr-defined]

    assert gunicorn.__version__ == "27.0.1"
    assert sha256(source).hexdigest()[:16] == INTERNALS[module]


# --- HTTP ---


def test_a_request_may_come_byte_by_byte(server: Server) -> None:
    client = server.connect()
    for byte in post(b"twelve bytes"):
        client.send(bytes([byte]))

    assert client.read_response()[1] == echo(b"twelve bytes")


def test_a_connection_serves_one_request_after_the_other(server: Server) -> None:
    client = server.connect()

    for number in range(5):
        client.send(post(b"a" * number))
        head, body = client.read_response()
        assert "Connection: keep-alive" in head
        assert body == echo(b"a" * number)


def test_requests_may_be_sent_before_the_responses_are_read(server: Server) -> None:
    sent = [post(b"a" * number * 1000, f"/{number}") for number in range(20)]
    client = server.connect(b"".join(sent) + get("/last", "Connection: close"))

    for number in range(20):
        assert client.read_response()[1] == echo(b"a" * number * 1000, f"/{number}")
    assert client.read_response()[1].startswith(b"GET /last ")
    assert client.read_line() == b""


def test_a_chunked_body_may_come_in_pieces(server: Server) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client = server.connect(head, b"5\r\nfir", b"st\r\n", b"6;x=y\r\nsecond\r\n0", b"\r\nX: y\r\n")
    client.send(b"\r\n" + get("/next"))

    assert client.read_response()[1] == echo(b"firstsecond")
    assert client.read_response()[1].startswith(b"GET /next ")


@pytest.mark.parametrize("size", [0, 1, MEGABYTE - 1, MEGABYTE, MEGABYTE + 1, 5 * MEGABYTE])
def test_a_body_may_be_large(server: Server, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]

    assert server.ask(post(body))[1] == echo(body)


def test_a_chunked_body_may_be_large(server: Server) -> None:
    body = BLOCK * 3
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert server.ask(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))[1] == echo(body)


def test_a_large_body_that_nobody_reads_ends_the_connection(server: Server) -> None:
    client = server.connect(post(b"a" * 2 * MEGABYTE, "/unread"))
    head, body = client.read_response()

    assert "Connection: close" in head
    assert body == echo(b"", "/unread")


@pytest.mark.parametrize("path", ["/blocks", "/file"])
def test_a_large_response_and_a_file_arrive_whole(server: Server, path: str) -> None:
    head, body = server.ask(get(path))

    assert f"Content-Length: {len(body)}" in head
    assert body
    assert path == "/file" or body == BLOCK * BLOCKS


def test_a_client_is_told_once_to_go_on_with_its_body(server: Server) -> None:
    request = post(b"body", "/", "Expect: 100-continue")
    client = server.connect(request[:-4])
    assert client.read_line() == b"HTTP/1.1 100 Continue\r\n"
    assert client.read_line() == b"\r\n"

    client.send(request[-4:])
    assert client.read_response()[1] == echo(b"body")


def test_a_client_that_did_not_wait_is_not_told_to_go_on(server: Server) -> None:
    head, _ = server.ask(post(b"body", "/", "Expect: 100-continue"))

    assert head.startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("version", "fields", "connection"),
    [
        ("1.0", "", "close"),
        ("1.0", "Connection: keep-alive\r\n", "keep-alive"),
        ("1.1", "", "keep-alive"),
        ("1.1", "Connection: close\r\n", "close"),
    ],
)
def test_a_connection_is_kept_as_the_client_wants(
    server: Server, version: str, fields: str, connection: str
) -> None:
    client = server.connect(f"GET / HTTP/{version}\r\n{fields}\r\n".encode())

    assert f"Connection: {connection}" in client.read_response()[0]
    if connection == "close":
        assert client.read_line() == b""


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
DUBIOUS = {
    "length and chunks": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": LENGTH + b"4\r\nContent-Length: 60\r\n\r\nbody",
    "a list of lengths": LENGTH + b"4, 4\r\n\r\nbody",
    "a length with a sign": LENGTH + b"+4\r\n\r\nbody",
    "a length of underscores": LENGTH + b"1_0\r\n\r\n0123456789",
    "a length that is none": LENGTH + b"\r\n\r\n",
    "chunks twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, then nothing": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunks of HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"POST / HTTP/1.1\r\nX: y\r\n Content-Length: 60\r\n\r\n",
    "a space before the colon": b"POST / HTTP/1.1\r\nContent-Length : 60\r\n\r\n",
    "an underscore": b"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 60\r\n\r\n",
    "a bare line feed": b"POST / HTTP/1.1\nContent-Length: 60\n\n",
    "a line feed in a field": LENGTH + b"4\nX: y\r\n\r\nbody",
    "a chunk size with a sign": CHUNKED + b"\r\n+4\r\nbody\r\n0\r\n\r\n",
    "a chunk size in hexadecimal prefix": CHUNKED + b"\r\n0x4\r\nbody\r\n0\r\n\r\n",
    "a chunk that is too long": CHUNKED + b"\r\n2\r\nbody\r\n0\r\n\r\n",
    "chunks without an end": CHUNKED + b"\r\n4\r\nbody\r\n\r\n",
    "a trailer that is none": CHUNKED + b"\r\n0\r\nContent-Length: 60\r\n\r\n",
    "an empty line first": b"\r\n" + get("/"),
    "two empty lines first": b"\r\n\r\n" + get("/"),
    "an unknown expectation": post(b"", "/", "Expect: miracles"),
    "a long request line": b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n",
    "many fields": get("/", *(f"X-{number}: 1" for number in range(61))),
    "a long field": get("/", "X: " + "a" * 9000),
    "no request": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a tunnel": b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", DUBIOUS)
def test_what_is_dubious_is_answered_as_gunicorn_does(
    server: Server, plain_server: Server, name: str
) -> None:
    sent = DUBIOUS[name] + SMUGGLED

    assert server.statuses(sent) == plain_server.statuses(sent)


def test_a_length_that_nobody_can_send_smuggles_nothing(server: Server) -> None:
    assert server.statuses(LENGTH + b"9" * 30 + b"\r\n\r\n" + SMUGGLED) == ["200"]


# --- Deadlines ---


UNFINISHED = [
    b"G",
    get()[:-1],
    post(b"body")[:-4],
    post(b"body")[:-1],
    CHUNKED + b"\r\n4\r\nbody\r\n",
    get() + post(b"body")[:-1],
]


def test_a_request_that_never_ends_is_answered_408(hasty_server: Server) -> None:
    clients = [hasty_server.connect(sent) for sent in UNFINISHED]

    for client in clients:
        said = client.read_to_the_end()
        assert said.count(b"HTTP/1.1 408 ") == 1
        assert b"Connection: close" in said
        assert b"took too long" in said


@pytest.mark.parametrize("sent", [b"", get()])
def test_a_client_that_wants_nothing_is_closed_without_a_word(
    hasty_server: Server, sent: bytes
) -> None:
    said = hasty_server.connect(sent).read_to_the_end()

    assert said.count(b"HTTP/1.1 ") == bool(sent)
    assert b" 408 " not in said


def test_a_large_body_that_stops_ends_the_wait_of_its_thread(hasty_server: Server) -> None:
    said = hasty_server.connect(post(b"a" * 2 * MEGABYTE)[:-1]).read_to_the_end()

    assert said.startswith(
        b"HTTP/1.1 500 "
    )  # the error passes through an application without Flask


def test_a_response_that_nobody_reads_is_cut_off(hasty_server: Server) -> None:
    clients = [hasty_server.connect(get("/blocks")) for _ in range(2 * THREADS)]

    assert is_well(hasty_server)
    sleep(5)  # longer than any of them may take
    for client in clients:
        assert len(client.read_to_the_end()) < len(BLOCK) * BLOCKS


# --- No thread waits ---


LARGE = post(b"a" * 5 * MEGABYTE)[: 2 * MEGABYTE]


@pytest.mark.parametrize("sent", [LARGE, get("/blocks")], ids=["bodies", "responses"])
def test_large_transfers_that_stop_leave_threads_to_others(server: Server, sent: bytes) -> None:
    stalled = [server.connect(sent) for _ in range(3 * THREADS)]

    assert is_well(server)
    assert any(not client.has_been_closed() for client in stalled)


def test_a_large_transfer_that_goes_on_outlives_those_that_stop(server: Server) -> None:
    for _ in range(3 * THREADS):
        server.connect(LARGE)
    body = BLOCK * 5
    request = post(body)
    client = server.connect()
    for start in range(0, len(request), 100_000):
        client.send(request[start : start + 100_000])
        if start % 1_000_000 == 0:
            server.connect(LARGE)

    assert client.read_response()[1] == echo(body)


def test_clients_that_do_not_hang_up_hold_nobody_up(server: Server) -> None:
    for _ in range(50):
        server.connect(get("/", "Connection: close"))

    assert is_well(server)


STALLS = {
    "half a head": get()[:-1],
    "half a body": post(b"body")[:-1],
    "endless chunks": CHUNKED + b"\r\n4\r\nbody\r\n",
    "waiting to go on": post(b"body", "/", "Expect: 100-continue")[:-4],
    "a response that is not read": get("/blocks"),
    "not hanging up": get("/", "Connection: close"),
}


@pytest.mark.parametrize("kind", STALLS)
def test_each_stall_stops_the_threads_of_gunicorn_alone_and_not_the_worker(
    server: Server, kind: str
) -> None:
    with serve("gthread") as plain:
        for _ in range(2 * THREADS):
            plain.connect().send_some(STALLS[kind])
            server.connect().send_some(STALLS[kind])

        assert is_well(server)
        assert plain.is_silent(get(), seconds=1)


@pytest.mark.parametrize("kind", STALLS)
def test_clients_that_break_off_end_no_process(hasty_server: Server, kind: str) -> None:
    process = hasty_server.worker()
    for _ in range(20):
        client = hasty_server.connect()
        client.send_some(STALLS[kind])
        client.break_off()

    assert hasty_server.worker() == process


# --- Room ---


def test_where_there_is_no_room_the_longest_idle_connection_makes_some() -> None:
    with serve(BUFFERING, "--worker-connections", "20") as server:
        begun = server.connect(get()[:-1])
        idle = [server.connect() for _ in range(30)]
        for _ in range(20):
            assert is_well(server)
        begun.send(b"\n")

        assert begun.read_response()[0].startswith("HTTP/1.1 200 ")
        assert idle[0].has_been_closed()
        assert not idle[-1].has_been_closed()


def test_connections_never_use_up_the_files_of_the_process() -> None:
    with serve(BUFFERING, files=200) as server:
        crowd = [server.connect() for _ in range(300)]

        assert all(is_well(server) for _ in range(10))
        assert sum(client.has_been_closed() for client in crowd) > 200


def test_where_memory_is_short_the_slowest_requests_make_room() -> None:
    with serve(FORGETFUL) as server:
        crowd = [server.connect(post(b"a" * MEGABYTE)[:600_000]) for _ in range(3)]
        assert all(is_well(server) for _ in range(20))  # until all of that has arrived

        assert server.ask(post(b"a" * MEGABYTE))[1] == echo(b"a" * MEGABYTE)
        assert [client.has_been_closed() for client in crowd] == [True, True, False]


# --- The end of a process ---


def test_a_request_that_has_begun_is_answered_before_the_end() -> None:
    with serve(BUFFERING) as server:
        begun, idle, kept = server.connect(get()[:-1]), server.connect(), server.connect(get())
        kept.read_response()
        is_well(server)  # what came before has arrived
        server.begin_to_stop()
        assert idle.read_line() == kept.read_line() == b""

        begun.send(b"\n")
        head, _ = begun.read_response()
        assert "Connection: close" in head
        begun.close()
        assert server.wait() == 0


def test_no_request_is_lost_when_a_process_is_replaced() -> None:
    with serve(BUFFERING, "--max-requests", "5") as server:
        assert all(is_well(server) for _ in range(30))


@pytest.mark.parametrize("option", ["--proxy-protocol", "--certfile=tests/ops/echo.py"])
def test_what_the_poller_cannot_read_stops_the_start(option: str) -> None:
    with serve(BUFFERING, option) as server:
        assert server.wait() == 1
