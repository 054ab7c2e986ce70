"""Mails of the portal that programs talk to, read from a real SMTP server."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiosmtpd.controller import Controller
from flask import Flask

from portal import create_app
from portal.extensions import db
from portal.mail import delivery
from tests.conftest import make_settings
from tests.mail.test_delivery import Mailbox

CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{8}\b")


@dataclass
class Post:
    """The worker that sends the mails, and the server that takes them."""

    app: Flask
    mailbox: Mailbox

    def letters_to(self, address: str) -> list[str]:
        """The text of every mail to this address so far, once what is due was sent."""
        with self.app.app_context():
            while delivery.send_due():
                pass
            db.session.remove()
        return [
            str(letter.get_body(("plain",)).get_content())  # type: ignore[union-attr]
            for letter in self.mailbox.taken
            if letter["To"] == address
        ]

    def code_to(self, address: str) -> str:
        """The code in the newest mail to this address."""
        found = CODE.search(self.letters_to(address)[-1])
        assert found is not None
        return found[0]

    def link_to(self, address: str) -> str:
        """The link in the newest mail to this address."""
        found = re.search(r"https?://\S+", self.letters_to(address)[-1])
        assert found is not None
        return found[0]


@contextmanager
def post_of(service: str, database_url: str) -> Iterator[Post]:
    """The post of the portal at `service`, which runs over that database."""
    with socket.create_server(("127.0.0.1", 0)) as reservation:
        port = reservation.getsockname()[1]
    controller = Controller(Mailbox(), hostname="127.0.0.1", port=port)
    controller.start()
    settings = make_settings(database_url, mail_url=f"smtp://127.0.0.1:{port}", public_url=service)
    app = create_app(settings)
    try:
        yield Post(app, controller.handler)
    finally:
        controller.stop()
        with app.app_context():
            db.engine.dispose()
