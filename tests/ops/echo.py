"""A small application that says what it was sent, for tests of the worker that serves it."""

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

BLOCK = bytes(range(256)) * 4096  # a megabyte
BLOCKS = 6


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """`/unread` reads no body, `/pid` tells the process, `/blocks` and `/file` send much."""
    path = environ["PATH_INFO"]
    if path == "/blocks":
        start_response("200 OK", [("Content-Length", str(len(BLOCK) * BLOCKS))])
        return (BLOCK for _ in range(BLOCKS))
    if path == "/file":
        source = Path(__file__).read_bytes()
        start_response("200 OK", [("Content-Length", str(len(source)))])
        return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))  # type: ignore[no-any-return]
    if path == "/pid":
        start_response("200 OK", [("Content-Length", str(len(str(os.getpid()))))])
        return [str(os.getpid()).encode()]
    body = b"" if path == "/unread" else environ["wsgi.input"].read()
    text = f"{environ['REQUEST_METHOD']} {path} {len(body)} {sha256(body).hexdigest()}\n".encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]
