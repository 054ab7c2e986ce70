"""The connection to the mail server: Flask-Mail's, with patience that ends, a server that must
prove its name, and time to make the next mail while the server takes this one."""

import re
import ssl
from contextlib import suppress
from functools import lru_cache
from smtplib import SMTP, SMTP_SSL, SMTPDataError, SMTPException
from typing import Any

from flask_mail import BadHeaderError, Connection, Message, sanitize_address

PATIENCE = 20  # seconds for each answer of the server

_DOT_AT_THE_START = re.compile(rb"^\.", re.MULTILINE)
_sanitized = lru_cache(maxsize=16)(sanitize_address)


class ServerAway(Exception):
    """There is no server that would take our mail."""


class Server(SMTP):
    """smtplib, but for the answer to a mail: `sendmail` leaves it to `answer`.

    A server takes longer over that answer than over all others; there is no need to wait idly.
    """

    def data(self, msg: Any) -> tuple[int, bytes]:
        """Hand the bytes of a mail over (RFC 5321, 4.1.1.4 and 4.5.2)."""
        code, words = self.docmd("data")
        if code != 354:
            return code, words
        self.send(_DOT_AT_THE_START.sub(b"..", msg) + b".\r\n")
        return 250, b""

    def answer(self) -> None:
        """What the server says to the mail; raises what `sendmail` would."""
        code, words = self.getreply()
        if code == 250:
            return
        if code == 421:
            self.close()
        raise SMTPDataError(code, words)


class ServerBehindTls(Server, SMTP_SSL):
    """The same, encrypted from the first byte on."""


class SmtpConnection(Connection):
    """Sends mails one by one: each is handed over by `send`, and settled by `answer`."""

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
        """Whether the server still listens, as far as we know."""
        return self.host is not None and self.host.sock is not None

    def send(self, message: Message, envelope_from: str | tuple[str, str] | None = None) -> None:
        """Hand a mail to one recipient over. Raises `BadHeaderError`, `SMTPException`, `OSError`.

        Flask-Mail would take both addresses apart and put them together again for each mail.
        """
        if message.has_bad_headers():
            raise BadHeaderError
        (to,) = message.recipients
        if self.host is not None:
            self.host.sendmail(
                _sanitized(envelope_from or message.sender),
                to if str(to).isascii() else sanitize_address(to),
                message.as_bytes(),
            )

    def answer(self) -> None:
        """What the server says to the mail it was sent; raises an `SMTPException` unless yes."""
        if self.host is not None:
            self.host.answer()

    def __exit__(self, *_: Any) -> None:
        """Say goodbye; a server that does not answer has still taken what it took."""
        with suppress(OSError, SMTPException):
            if self.host is not None:
                self.host.quit()
