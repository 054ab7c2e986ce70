"""PgBouncer in transaction mode between the portal and Postgres, as many hosts have it."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

PATIENCE = 20  # seconds until a pooler that does not start fails the test
SETTINGS = """\
[databases]
* = host={server} port={server_port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 400
logfile = {folder}/log
pidfile = {folder}/pid
"""


@contextmanager
def pgbouncer(server: URL) -> Iterator[URL]:
    """Start a pooler in front of `server`; yield the URL that leads through it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.chown(folder, "postgres")  # PgBouncer refuses to run as root
        with socket.socket() as reservation:
            reservation.bind(("127.0.0.1", 0))
            port = reservation.getsockname()[1]
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            SETTINGS.format(
                server=server.host,
                server_port=server.port or 5432,
                user=server.username,
                port=port,
                folder=folder,
            )
        )
        settings.chmod(0o644)
        started = subprocess.Popen(["/usr/sbin/pgbouncer", "-q", "-u", "postgres", settings])
        try:
            _wait_for(port, started)
            yield server.set(host="127.0.0.1", port=port)
        finally:
            started.kill()
            started.wait()


def _wait_for(port: int, started: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and started.poll() is None:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"PgBouncer did not start (exit code {started.poll()})")
