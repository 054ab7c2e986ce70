"""A mail server with a will of its own, and the worker processes that meet it."""

import email
import email.policy
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from portal.config import ROOT
from tests.conftest import SECRET
from tests.servers import DEFAULTS

# What it says to a message: an answer, or "" to hang up without one.
Mood = Callable[[str], str]


class MailServer:
    """Takes messages, unless its `mood`, asked for each recipient, says something else than 250."""

    def __init__(self, mood: Mood = lambda _recipient: "250 OK") -> None:
        self.mood = mood
        self.taken: list[tuple[str, EmailMessage]] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Listen on a free port."""
        with socket.create_server(("127.0.0.1", 0)) as reservation:
            port = reservation.getsockname()[1]
        controller = Controller(self, hostname="127.0.0.1", port=port)
        controller.start()
        self.url = f"smtp://127.0.0.1:{port}"
        try:
            yield self
        finally:
            controller.stop()

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, replies: list[str]
    ) -> list[str]:
        """Take several commands at once, as most servers do."""
        session.host_name = hostname
        return [*replies[:-1], "250-PIPELINING", replies[-1]]

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a message, refuse it, or hang up."""
        recipient = envelope.rcpt_tos[0]
        answer = self.mood(recipient)
        if answer.startswith("250"):
            message = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.taken.append((recipient, message))
        elif not answer:
            assert server.transport is not None
            server.transport.close()
        return answer or "421 gone"


class Worker:
    """A worker process over a database; `app` may be one that lacks something."""

    def __init__(self, database_url: str, mail_url: str, app: str, **environment: str) -> None:
        settings = DEFAULTS | {
            "DATABASE_URL": database_url,
            "MAIL_URL": mail_url,
            "SECRET_KEY": SECRET,
            "PUBLIC_URL": "https://invite.example.org",
            "BULK_MAILS_PER_MINUTE": "100000",
            "LOG_LEVEL": "ERROR",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", app, "outbox", "run"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]} | settings | environment,
        )

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def wait(self, patience: float) -> int:
        """Wait until it ends by itself; its exit code."""
        return self._process.wait(patience)

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Let it finish its round."""
        self._process.terminate()
        self._process.wait(60)
