"""Runs decoders of untrusted files in child processes with limited memory and time.

A decoder is a module with a function `decode(source, target)`: it reads the file from `source`,
writes lines to `target`, and rejects a file by raising a `PortalError`. It runs in a new
interpreter, since forking a process with threads is unsafe. The kernel enforces the limits, so a
decoder stuck in C code is stopped too. The child gets none of the portal's environment.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import IO, NamedTuple

from portal.domain.errors import DecodersBusy, PortalError
from portal.domain.sandbox import child

PLACES = 2  # concurrent children per process
# What an interpreter may need to find its libraries and temporary files.
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "TZ")

_places = BoundedSemaphore(PLACES)


class Limits(NamedTuple):
    """The limits of one child; the kernel kills it when it runs out of time."""

    memory: int  # bytes of address space
    processor: int  # seconds of CPU time
    clock: int  # seconds from start to end
    file: int  # bytes it may write to one temporary file


class DecoderRefused(PortalError):
    """The decoder rejected the file, with a reason."""


class DecoderStopped(Exception):
    """The child was killed at one of its limits, or crashed."""


def decode(decoder: str, source: IO[bytes], limits: Limits) -> Generator[bytes]:
    """The lines that the module `decoder` produces from the file `source`, read from its start.

    Close the iterator to stop the child early. Raises `DecodersBusy` at once if all places are
    taken, and `DecoderRefused` or `DecoderStopped`, possibly after some lines.
    """
    if not _places.acquire(blocking=False):
        raise DecodersBusy
    try:
        with _real_file(source) as file, _started(decoder, file, limits) as started:
            assert started.stdout is not None  # noqa: S101 - it is a pipe
            yield from started.stdout
            _require_success(started)
    finally:
        _places.release()


@contextmanager
def _real_file(source: IO[bytes]) -> Iterator[IO[bytes]]:
    """`source`, rewound, as a file that a child can inherit."""
    source.seek(0)
    try:
        source.fileno()
    except OSError:  # it is in memory
        with tempfile.TemporaryFile() as copy:
            while piece := source.read(1024 * 1024):
                copy.write(piece)
            copy.seek(0)
            yield copy
    else:
        yield source


@contextmanager
def _started(decoder: str, file: IO[bytes], limits: Limits) -> Iterator[subprocess.Popen[bytes]]:
    file.flush()
    started = subprocess.Popen(  # noqa: S603 - none of these words comes from outside
        [sys.executable, "-I", child.__file__, decoder, *map(str, limits)],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
        start_new_session=True,  # Ctrl-C goes to the portal, which stops its children itself
    )
    with started:
        try:
            yield started
        finally:
            started.kill()


def _require_success(ended: subprocess.Popen[bytes]) -> None:
    assert ended.stderr is not None  # noqa: S101 - it is a pipe
    said = ended.stderr.read()
    status = ended.wait()
    if status == child.REFUSED:
        raise DecoderRefused(json.loads(said))
    if status:
        raise DecoderStopped(f"exit status {status}: {said[-200:].decode(errors='replace')}")
