"""The parts that a soak test may break, and so runs itself: Postgres, Redis, SMTP, the portal."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from bench.servers import PRODUCTION
from portal.config import ROOT

HOST = "127.0.0.1"
PATIENCE = 30  # seconds


def free_port() -> int:
    """A free port."""
    with socket.create_server((HOST, 0)) as reservation:
        return int(reservation.getsockname()[1])


class Postgres:
    """A cluster in a folder, of the newest version installed here."""

    def __init__(self, folder: Path) -> None:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=str)
        if not versions:
            raise SystemExit(
                "The soak needs Postgres. On Debian and Ubuntu: apt-get install postgresql"
            )
        self._bin, self._data, self._port = versions[-1], folder / "postgres", free_port()
        self._data.mkdir()
        self.url = f"postgresql://postgres@{HOST}:{self._port}/postgres"
        if os.geteuid() == 0:  # Postgres refuses to run as root
            folder.chmod(0o755)
            shutil.chown(self._data, "postgres")

    def start(self) -> None:
        """Create and start the cluster."""
        self._run("initdb", "-U", "postgres", "--auth=trust", "-D", str(self._data))
        self._control("start")

    def restart(self) -> None:
        """Restart it as after a crash, without closing connections."""
        self._control("restart", "-m", "immediate")

    def stop(self) -> None:
        """Stop it permanently."""
        self._control("stop", "-m", "fast")

    def _control(self, action: str, *arguments: str) -> None:
        options = f"-p {self._port} -c listen_addresses={HOST} -k {self._data}"
        log = str(self._data / "log")
        self._run(
            "pg_ctl", "-w", "-D", str(self._data), "-l", log, "-o", options, action, *arguments
        )

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


class Mailbox:
    """A mail server that can go away and come back; `taken` counts messages by Message-ID."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.port = free_port()
        self._controller: Controller | None = None

    def start(self) -> None:
        """Open the port."""
        self._controller = Controller(self, hostname=HOST, port=self.port)
        self._controller.start()

    def stop(self) -> None:
        """Close the port."""
        if self._controller:
            self._controller.stop()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a message."""
        self.taken[str(message_from_bytes(envelope.content or b"")["Message-ID"])] += 1
        return "250 OK"


@contextmanager
def redis() -> Iterator[str]:
    """A Redis without persistence; yields its URL."""
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--dir", "/tmp"]  # noqa: S108
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://{HOST}:{port}/0"
    finally:
        server.terminate()
        server.wait(PATIENCE)


class Portal:
    """gunicorn with two workers, and the worker that sends mail."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.log = folder / "portal.log"
        self._output = self.log.open("w")
        self._environment = {"PATH": os.environ["PATH"], "WEB_CONCURRENCY": "2"}
        self._environment |= (
            PRODUCTION | {"PUBLIC_URL": self.url, "PORT": str(self.port)} | environment
        )
        self._server: subprocess.Popen[bytes] | None = None
        self._sender: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start both."""
        gunicorn = Path(sys.executable).with_name("gunicorn")
        self._server = self._run(str(gunicorn), "--bind", f"{HOST}:{self.port}", "wsgi:app")
        self.start_sender()

    def start_sender(self) -> None:
        """Start the worker that sends mail."""
        self._sender = self._run(sys.executable, "-m", "flask", "--app", "wsgi", "outbox", "run")

    def kill_worker(self) -> None:
        """Kill one of gunicorn's workers; gunicorn starts another."""
        os.kill(self.workers()[0], signal.SIGKILL)

    def kill_sender(self) -> None:
        """Kill the worker that sends mail, and restart it, as a platform does."""
        if self._sender:
            self._sender.kill()
            self._sender.wait()
        self.start_sender()

    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers."""
        master = self._server.pid if self._server else 0
        return [
            int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()
        ]

    def memory(self) -> dict[int, float]:
        """Resident megabytes of each worker."""
        page = os.sysconf("SC_PAGE_SIZE")
        found = {}
        for pid in self.workers():
            try:
                found[pid] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page / 2**20
            except (FileNotFoundError, ProcessLookupError):  # killed meanwhile
                continue
        return found

    def stop(self) -> None:
        """Stop both, and wait for them."""
        for process in (self._server, self._sender):
            if process:
                process.terminate()
                process.wait(PATIENCE)
        self._output.close()

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdout=self._output, stderr=self._output
        )
