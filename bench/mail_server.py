"""A mail server that accepts everything and logs the times: `python -m bench.mail_server LOG`.

Like most servers, it accepts several commands at once (PIPELINING, RFC 2920).
"""

import asyncio
import signal
import sys
import time
from pathlib import Path

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST, PORT = "127.0.0.1", 8425


class Clock:
    """Accepts messages, and logs the time of each."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("w", buffering=1)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, replies: list[str]
    ) -> list[str]:
        """Announce PIPELINING."""
        session.host_name = hostname
        return [*replies[:-1], "250-PIPELINING", replies[-1]]

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Accept the message."""
        self._log.write(f"{time.monotonic()}\n")
        return "250 OK"


def main() -> None:
    """Serve until told to stop."""
    loop = asyncio.new_event_loop()
    controller = UnthreadedController(Clock(Path(sys.argv[1])), HOST, PORT, loop=loop)
    controller.begin()
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    loop.run_forever()


if __name__ == "__main__":
    main()
