"""The portal as in production: gunicorn, several processes, a local port."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from portal.config import ROOT, Settings
from tests.conftest import SECRET

PATIENCE = 60  # seconds until a server that does not start, or stop, fails the test
# Set explicitly, so that a developer's own .env changes nothing here.
DEFAULTS = {
    name.upper(): str(field.default)
    for name, field in Settings.model_fields.items()
    if isinstance(field.default, str | int) and field.default != ""
}


@contextmanager
def serve(
    database_url: str,
    *,
    app: str = "wsgi:app",
    host: str = "127.0.0.1",
    workers: int = 2,
    **environment: str,
) -> Iterator[str]:
    """Serve `app` over a migrated database; yield the server's URL, without a trailing slash.

    `environment` holds settings by name. The server's output is printed when it stops, so that
    pytest shows it with a failure.
    """
    with _reserved_port() as port, tempfile.TemporaryFile("w+") as output:
        url = f"http://{host}:{port}"
        settings = DEFAULTS | {
            "DATABASE_URL": database_url,
            "SECRET_KEY": SECRET,
            "PUBLIC_URL": url,
            "FLOOD_LIMIT": "100000 per second",
            "LOG_LEVEL": "ERROR",
        }
        server = _start(app, workers, port, settings | environment, output)
        try:
            _wait_for(url, server)
            yield url
        finally:
            _stop(server)
            output.seek(0)
            print(output.read())  # noqa: T201 - for pytest to capture


@contextmanager
def work(database_url: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker over a migrated database, as `make run` starts it; tests may kill it."""
    with command(database_url, "outbox", "run", **environment) as worker:
        yield worker


@contextmanager
def command(
    database_url: str, *words: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `flask` with these arguments, over a migrated database."""
    settings = DEFAULTS | {
        "DATABASE_URL": database_url,
        "SECRET_KEY": SECRET,
        "PUBLIC_URL": "http://localhost",
        "LOG_LEVEL": "ERROR",
    }
    started = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | settings | environment,
    )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(PATIENCE)


@contextmanager
def _reserved_port() -> Iterator[int]:
    """A free port, kept from other processes.

    With `reuse_port` two servers could share a port without noticing, so it stays bound here, where
    nothing listens.
    """
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]


def _start(
    app: str, workers: int, port: int, settings: dict[str, str], output: IO[str]
) -> subprocess.Popen[str]:
    gunicorn = Path(sys.executable).with_name("gunicorn")
    return subprocess.Popen(
        [gunicorn, "--bind", f"127.0.0.1:{port}", "--workers", str(workers), app],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | settings,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_for(url: str, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                if client.get(f"{url}/healthz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise RuntimeError(f"the server did not start (exit code {server.poll()})")


def _stop(server: subprocess.Popen[str]) -> None:
    server.terminate()
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        raise
