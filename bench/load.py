"""Load: files of ready-made requests, sent by wrk."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlencode

CONNECTIONS = 32  # enough to keep both workers busy, however the kernel spreads them
HOST = "127.0.0.1"
ORIGIN = f"http://{HOST}"
SEPARATOR = b"\x1e"


class LoadFailed(Exception):
    """A request failed, so the measurement is invalid."""


class Requests:
    """A file of requests, sent in order; each round continues where the last one stopped.

    With `once`, no request may be sent twice, and running out of them is an error.
    """

    def __init__(self, path: Path, requests: Iterable[bytes], *, once: bool = False) -> None:
        self._path = path
        self._once = once
        self._next = 0
        path.write_bytes(SEPARATOR.join(requests))

    def send(self, url: str, seconds: float) -> float:
        """Send them for `seconds`; return the responses a second. Raises `LoadFailed`."""
        seconds = max(1, round(seconds))  # wrk takes whole seconds only
        command = [
            *("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s"),
            *("-s", str(Path(__file__).with_name("replay.lua")), url, "--"),
            *(str(self._path), str(self._next), "once" if self._once else "loop"),
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise LoadFailed(f"wrk: {run.stderr or run.stdout}")
        told = json.loads(run.stdout.splitlines()[-1])
        self._next = told["next"]
        wrong = ("ran_out", "refused", "connect", "read", "write", "timeout")
        if any(told[kind] for kind in wrong) or not told["requests"]:
            raise LoadFailed(f"{self._path.stem} at {url}: {told}")
        return float(told["requests"] / told["microseconds"] * 1_000_000)


def require_wrk() -> None:
    """Exit with one sentence if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise SystemExit("The benchmarks need wrk. On Debian and Ubuntu: apt-get install wrk")


def request(
    method: str,
    path: str,
    *,
    address: str,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of one request, from a client at `address` behind one proxy."""
    body = urlencode(form or {})
    lines = {"Host": HOST, "X-Forwarded-For": address, "User-Agent": "bench"} | dict(headers or {})
    if method == "POST":
        lines["Content-Length"] = str(len(body))
    if form:
        lines["Content-Type"] = "application/x-www-form-urlencoded"
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n{body}".encode()


def address(number: int) -> str:
    """One of 65,536 IP addresses."""
    return f"10.20.{number >> 8 & 255}.{number & 255}"
