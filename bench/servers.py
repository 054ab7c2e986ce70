"""gunicorn as in production, with the portal's own settings, for the portal and for the floor."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bench.load import HOST
from portal.config import ROOT, Settings

PATIENCE = 60  # seconds
SECRET = "a secret for the benchmarks that is and for nothing else"
# Set explicitly, so that a developer's own .env changes nothing here.
DEFAULTS = {
    name.upper(): str(field.default)
    for name, field in Settings.model_fields.items()
    if isinstance(field.default, str | int) and field.default != ""
}
# Limits and logs are on, as in production; the limits are just too high to be reached.
PRODUCTION = DEFAULTS | {
    "SECRET_KEY": SECRET,
    "PUBLIC_URL": f"http://{HOST}",
    "TRUSTED_PROXIES": "1",
    "FLOOD_LIMIT": "1000000 per minute",
    "ADDRESS_MISSES_PER_HOUR": "100000",
    "LOG_LEVEL": "INFO",
}


@contextmanager
def portal(database_url: str, log: Path) -> Iterator[str]:
    """The portal over a database, with its worker; yields its URL."""
    environment = PRODUCTION | {"DATABASE_URL": database_url}
    with (
        _work(environment, log.with_suffix(".worker.log")),
        _serve(["wsgi:app"], environment, log) as url,
    ):
        yield url


@contextmanager
def floor(database_url: str, log: Path) -> Iterator[str]:
    """The floor over a database (none if empty); yields its URL."""
    arguments = ["--config", "bench/floor_conf.py", "bench.floor:app"]
    with _serve(arguments, {"FLOOR_DATABASE_URL": database_url}, log) as url:
        yield url


@contextmanager
def _serve(arguments: list[str], environment: dict[str, str], log: Path) -> Iterator[str]:
    gunicorn = Path(sys.executable).with_name("gunicorn")
    with _reserved_port() as port, log.open("w") as output:
        url = f"http://{HOST}:{port}"
        # Restarting a worker in the middle of a round would be measured too.
        options = ["--bind", f"{HOST}:{port}", "--max-requests", "0", "--max-requests-jitter", "0"]
        server = subprocess.Popen(
            [gunicorn, *options, *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "WEB_CONCURRENCY": "2"} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(url, server, log)
            yield url
        finally:
            server.terminate()
            server.wait(PATIENCE)


@contextmanager
def _work(environment: dict[str, str], log: Path) -> Iterator[None]:
    """Run the worker, which links the audit events of requests: that is part of their cost."""
    with log.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "outbox", "run"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            worker.terminate()
            worker.wait(PATIENCE)


@contextmanager
def _reserved_port() -> Iterator[int]:
    """A free port, kept from other processes: bound here too, where nothing listens."""
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind((HOST, 0))
        yield reservation.getsockname()[1]


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    with httpx.Client(trust_env=False, headers={"Host": HOST}) as client:
        while time.monotonic() < deadline and server.poll() is None:
            try:
                if client.get(f"{url}/healthz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
    raise SystemExit(f"A server did not start; it wrote:\n{log.read_text()}")
