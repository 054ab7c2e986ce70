"""A test mail, sent immediately to learn the mail server's reply."""

import smtplib
from email.message import EmailMessage
from email.utils import make_msgid
from urllib.parse import urlsplit

from flask import current_app

from portal.config import settings
from portal.ops.doctor.findings import Finding, bad, good, warn

PART = "Test mail"
PATIENCE = 10.0  # seconds


def send_test_mail(to: str) -> Finding:
    """Send a message to `to`, bypassing the outbox, and report the result."""
    if not settings.mail_url.get_secret_value():
        return warn(PART, "There is no mail server to try.", "Set MAIL_URL.")
    try:
        _send(to)
    except (OSError, smtplib.SMTPException) as error:
        return bad(
            PART,
            f"The mail server did not take it: {_words(error)}.",
            "Check host, port, name and password in MAIL_URL, and whether MAIL_FROM may be used.",
        )
    return good(PART, f"The mail server took a message to {to}. Look whether it arrives.")


def _send(to: str) -> None:
    config = current_app.config
    kind = smtplib.SMTP_SSL if config["MAIL_USE_SSL"] else smtplib.SMTP
    with kind(config["MAIL_SERVER"], config["MAIL_PORT"], timeout=PATIENCE) as server:
        if config["MAIL_USE_TLS"]:
            server.starttls()
        if config["MAIL_USERNAME"]:
            server.login(config["MAIL_USERNAME"], config["MAIL_PASSWORD"] or "")
        server.send_message(_message(to, config["MAIL_DEFAULT_SENDER"]))


def _message(to: str, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = f"Test of {settings.site_name}"
    message["From"], message["To"] = sender, to
    message["Message-ID"] = make_msgid(domain=urlsplit(settings.base_url).hostname)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("If you can read this, the portal can send mail. Nothing is to be done.\n")
    return message


def _words(error: Exception) -> str:
    """The server's reply, or else the error."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return f"{code} {_text(said)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error) or type(error).__name__


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
