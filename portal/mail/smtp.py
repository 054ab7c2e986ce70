"""The connection to the mail server.

It adds to Flask-Mail's a timeout, verified TLS certificates, and time to render the next mail while
the server takes this one.
"""

import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from smtplib import (
    SMTP,
    SMTP_SSL,
    SMTPDataError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    quoteaddr,
)
from typing import Any

from flask_mail import BadHeaderError, Connection, Message, sanitize_address

PATIENCE = 20  # seconds for each reply of the server

_DOT_AT_THE_START = re.compile(rb"^\.", re.MULTILINE)
_sanitized = lru_cache(maxsize=16)(sanitize_address)


class ServerAway(Exception):
    """No mail server accepts our mail."""


def _nothing() -> None:
    """The default for `meanwhile`."""


class Server(SMTP):
    """smtplib's client, split so that we need not wait: `hand_over` sends a mail, `answer` reads
    the server's reply to it, which takes longer than everything else.
    """

    def hand_over(
        self, sender: str, to: str, content: bytes, meanwhile: Callable[[], None]
    ) -> None:
        """Hand over a mail (RFC 5321, 3.3); raises what `sendmail` would.

        `meanwhile` is called while the server processes the envelope, before the content is sent.
        """
        self.ehlo_or_helo_if_needed()
        size = f" size={len(content)}" if self.has_extn("size") else ""
        commands = [f"mail FROM:{quoteaddr(sender)}{size}", f"rcpt TO:{quoteaddr(to)}", "data"]
        refusal = self._refusal(self._replies(commands, meanwhile), sender, to)
        if refusal:
            with suppress(SMTPServerDisconnected):
                self.rset()
            raise refusal
        self.send(_DOT_AT_THE_START.sub(b"..", content) + b".\r\n")  # RFC 5321, 4.1.1.4 and 4.5.2

    def _refusal(
        self, replies: Iterator[tuple[int, bytes]], sender: str, to: str
    ) -> SMTPException | None:
        """The error of the replies to MAIL, RCPT and DATA, if any."""
        wanted: list[tuple[int, Callable[[int, bytes], SMTPException]]] = [
            (2, lambda code, words: SMTPSenderRefused(code, words, sender)),
            (2, lambda code, words: SMTPRecipientsRefused({to: (code, words)})),
            (3, SMTPDataError),
        ]
        found = None
        for (kind, error), (code, words) in zip(wanted, replies, strict=False):
            if code // 100 != kind:
                found = found or error(code, words)
                if code == 421:
                    self.close()
                if code == 421 or not self._takes_all_at_once:
                    break
            elif found and kind == 3:  # the server still expects content (RFC 2920, 3.1)
                self.docmd(".")
        return found

    def _replies(
        self, commands: Sequence[str], meanwhile: Callable[[], None]
    ) -> Iterator[tuple[int, bytes]]:
        """Yield the reply to each command; with PIPELINING, all are sent first (RFC 2920)."""
        at_once = commands if self._takes_all_at_once else commands[:1]
        self.send("".join(f"{command}\r\n" for command in at_once))
        meanwhile()
        for command in commands:
            if command not in at_once:
                self.putcmd(command)
            yield self.getreply()

    @property
    def _takes_all_at_once(self) -> bool:
        return bool(self.has_extn("pipelining"))

    def answer(self) -> None:
        """Read the reply to the mail; raises what `sendmail` would."""
        code, words = self.getreply()
        if code == 250:
            return
        if code == 421:
            self.close()
        raise SMTPDataError(code, words)


class ServerBehindTls(Server, SMTP_SSL):
    """The same, encrypted from the first byte."""


class SmtpConnection(Connection):
    """Sends mails one by one: `send` hands one over, `answer` reads the server's reply."""

    host: Server | None

    def configure_host(self) -> Server:
        """Connect, encrypt, sign in; raises `ServerAway`."""
        try:
            return self._connect()
        except (OSError, SMTPException) as error:
            raise ServerAway(f"The mail server is away: {error}") from error

    def _connect(self) -> Server:
        where = {"host": self.mail.server, "port": self.mail.port, "timeout": PATIENCE}
        if self.mail.use_ssl:
            host: Server = ServerBehindTls(**where, context=ssl.create_default_context())
        else:
            host = Server(**where)
        if self.mail.use_tls:
            host.starttls(context=ssl.create_default_context())
        if self.mail.username and self.mail.password:
            host.login(self.mail.username, self.mail.password)
        return host

    @property
    def is_open(self) -> bool:
        """Whether the connection is still open, as far as we know."""
        return self.host is not None and self.host.sock is not None

    def send(
        self,
        message: Message,
        envelope_from: str | tuple[str, str] | None = None,
        meanwhile: Callable[[], None] = _nothing,
    ) -> None:
        """Hand over a mail to one recipient; raises `BadHeaderError`, `SMTPException`, `OSError`.

        `meanwhile` is called before the content is sent. Flask-Mail would parse and format both
        addresses again for each mail.
        """
        if message.has_bad_headers():
            raise BadHeaderError
        (to,) = message.recipients
        if self.host is not None:
            self.host.hand_over(
                _sanitized(envelope_from or message.sender),
                str(to) if str(to).isascii() else sanitize_address(to),
                message.as_bytes(),
                meanwhile,
            )

    def answer(self) -> None:
        """Read the server's reply to the mail; raises an `SMTPException` if it was rejected."""
        if self.host is not None:
            self.host.answer()

    def __exit__(self, *_: Any) -> None:
        """Quit; if the server does not reply, the mails it took still count as sent."""
        with suppress(OSError, SMTPException):
            if self.host is not None:
                self.host.quit()
