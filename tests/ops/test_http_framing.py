"""A request is handed over when all of it is there, however it came: no sooner, and no later."""

from itertools import pairwise
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from portal.http.headers import LARGEST_BODY
from portal.ops.http_framing import BODY_LIMIT, Framing, Progress

HEAD_LIMIT = 64 * 1024
PEER = ("192.0.2.1", 4711)

tokens = st.text("abcXYZ-09", min_size=1, max_size=20)
bodies = st.binary(max_size=200)


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    """A body in chunks, with extensions and trailers."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=50), max_size=5))
    extension = draw(st.sampled_from([b"", b";name", b' ; name="quoted\\" text"']))
    trailer = draw(st.sampled_from([b"", b"X-Checksum: 1\r\n", b"X-A: 1\r\nX-B: 2\r\n"]))
    coded = b"".join(b"%X%s\r\n%s\r\n" % (len(one), extension, one) for one in chunks)
    return coded + b"0" + extension + b"\r\n" + trailer + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request as RFC 9112 allows it."""
    names = draw(st.lists(tokens, max_size=4))
    fields = [b"X-%s: %s" % (name.encode(), draw(tokens).encode()) for name in names]
    body = b""
    match draw(st.sampled_from(["none", "length", "chunks"])):
        case "length":
            body = draw(bodies)
            name = draw(
                st.sampled_from([b"Content-Length:", b"content-length: ", b"CONTENT-Length:\t"])
            )
            fields.insert(draw(st.integers(0, len(fields))), name + b"%d" % len(body))
        case "chunks":
            body = draw(chunked())
            fields.append(
                draw(
                    st.sampled_from([b"Transfer-Encoding: chunked", b"transfer-encoding:CHUNKED "])
                )
            )
    start = draw(st.sampled_from([b"", b"\r\n"])) + b"POST /path HTTP/1.1"
    return b"\r\n".join([start, *fields, b"", body])


def parsed(data: bytes) -> tuple[Any, ...]:
    """What gunicorn makes of it: the request, or the name of its refusal; and what is left over."""
    config = Config()
    unreader = IterUnreader([data])
    try:
        request = Request(config, unreader, PEER)
        body = request.body.read()
    except Exception as error:
        return (type(error).__name__,)
    return request.method, request.uri, request.headers, body, request.trailers


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data, cut at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(requests(), st.lists(st.integers(0, 10_000), max_size=8), st.binary(max_size=30))
def test_a_request_is_the_same_however_it_is_cut(
    request: bytes, cuts: list[int], following: bytes
) -> None:
    framing, received = Framing(HEAD_LIMIT), bytearray()
    for piece in pieces(request, cuts):
        received += piece
        progress = framing.look(received)
        assert (progress is Progress.ENOUGH) == (len(received) == len(request))

    assert parsed(bytes(received) + following) == parsed(request)


@given(requests())
def test_a_request_is_the_same_byte_by_byte(request: bytes) -> None:
    framing = Framing(HEAD_LIMIT)
    progress = [framing.look(bytearray(request[:end])) for end in range(1, len(request) + 1)]

    assert progress[-1] is Progress.ENOUGH
    assert Progress.ENOUGH not in progress[:-1]


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    for start in (
        b"",
        b"POST / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        framing, received = Framing(HEAD_LIMIT), bytearray(start)
        for byte in data:
            received.append(byte)
            framing.look(received)


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 50\r\nTransfer-Encoding: chunked",
        b"Content-Length: 50\r\nContent-Length: 50",
        b"Content-Length: 50\r\nContent-Length: 51",
        b"Content-Length: 50, 50",
        b"Content-Length: +50",
        b"Content-Length: 0x32",
        b"Content-Length: " + b"9" * 30,
        b"Content-Length: " + b"9" * 5000,
        b"Content-Length:",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"X: folded\r\n Content-Length: 50",
        b"Content-Length : 50",
        b"Content-Length: 50\nX: a bare line feed",
    ],
)
def test_of_a_head_that_contradicts_itself_nothing_more_is_awaited_than_gunicorn_does(
    fields: bytes,
) -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n"
    framing = Framing(HEAD_LIMIT)

    while framing.look(bytearray(request)) is not Progress.ENOUGH:
        request += b"a" * 10
        assert len(request) < 10_000

    assert parsed(request)[0] in {
        "POST",  # a length that never comes: refused by the portal
        "InvalidHeader",
        "InvalidHeaderName",
        "ObsoleteFolding",
        "UnsupportedTransferCoding",
    }


@pytest.mark.parametrize("line_end", [b"\n", b"\n\n", b"\r\n\n"])
def test_a_bare_line_feed_is_handed_over_to_be_refused(line_end: bytes) -> None:
    assert Framing(HEAD_LIMIT).look(bytearray(b"GET / HTTP/1.1" + line_end)) is Progress.ENOUGH


def test_a_head_without_end_is_handed_over_to_be_refused() -> None:
    assert Framing(100).look(bytearray(b"G" * 100)) is Progress.HEAD
    assert Framing(100).look(bytearray(b"G" * 101)) is Progress.ENOUGH


@pytest.mark.parametrize("chunk", [b"x", b"\r\n", b"-1\r\n", b"5 5\r\n" + b"9" * 20, b"0x5\r\n"])
def test_a_chunk_that_is_none_is_handed_over_to_be_refused(chunk: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert Framing(100).look(bytearray(head + chunk + b"\r\n")) is Progress.ENOUGH


@pytest.mark.parametrize("size_line", [b"5" * 101, b"0\r\n" + b"X: 1\r\n" * 20])
def test_chunk_lines_and_trailers_without_end_are_handed_over_to_be_refused(
    size_line: bytes,
) -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert Framing(100).look(bytearray(head + size_line)) is Progress.ENOUGH


@pytest.mark.parametrize("field", [b"Content-Length: 9999999", b"Transfer-Encoding: chunked"])
def test_of_a_large_body_only_so_much_is_kept(field: bytes) -> None:
    head = b"POST / HTTP/1.1\r\n" + field + b"\r\n\r\n"
    framing, received = Framing(HEAD_LIMIT), bytearray(head + b"ffffff\r\n")

    assert framing.look(received) is Progress.BODY
    assert framing.look(received + b"a" * BODY_LIMIT) is Progress.LARGE


@pytest.mark.parametrize(
    ("version", "value", "expects"),
    [
        (b"1.1", b"100-continue", True),
        (b"1.1", b"100-Continue", True),
        (b"1.0", b"100-continue", False),
    ],
)
def test_a_client_may_wait_for_a_go_ahead(version: bytes, value: bytes, expects: bool) -> None:
    head = b"POST / HTTP/%s\r\nExpect: %s\r\nContent-Length: 5\r\n\r\n" % (version, value)
    framing = Framing(HEAD_LIMIT)

    assert framing.look(bytearray(head)) is Progress.BODY
    assert framing.expects_continue is expects


def test_an_expectation_nobody_knows_is_refused_without_a_body() -> None:
    head = b"POST / HTTP/1.1\r\nExpect: miracles\r\nContent-Length: 5\r\n\r\n"

    assert Framing(HEAD_LIMIT).look(bytearray(head)) is Progress.ENOUGH


def test_whatever_strangers_may_send_to_most_views_is_kept_until_it_is_whole() -> None:
    assert BODY_LIMIT >= LARGEST_BODY
