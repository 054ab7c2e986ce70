"""Delivers the outbox through Flask-Mail: single mails at once, batches at the configured rate."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from email.utils import formataddr
from functools import partial
from smtplib import (
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

from flask import current_app
from flask_mail import BadHeaderError

from portal.clock import utcnow
from portal.config import Settings, settings
from portal.domain.mail import account_mail, invitation_mail, outbox
from portal.domain.mail.account_mail import Notice
from portal.domain.mail.invitation_mail import Matter
from portal.http.logs import log
from portal.mail import account_messages, invitation_messages
from portal.mail.invitation_messages import Letter
from portal.mail.smtp import ServerAway, SmtpConnection
from portal.models import Mail

AT_ONCE = 20
MOST_AT_ONCE = 100  # batch mails
STEP = 2  # seconds of the bulk rate to lease at a time
LEASE_LEFT = timedelta(minutes=2)  # longer than all replies to one mail can take
KILLER = "Every worker that tried to send it was stopped."


def flask_config(chosen: Settings) -> dict[str, object]:
    """Flask-Mail's settings from `MAIL_URL`."""
    url = urlsplit(chosen.mail_url.get_secret_value())
    return {
        "MAIL_SERVER": url.hostname or "",
        "MAIL_PORT": url.port or (465 if url.scheme == "smtps" else 25),
        "MAIL_USE_SSL": url.scheme == "smtps",
        "MAIL_USE_TLS": parse_qs(url.query).get("tls") == ["1"],
        "MAIL_USERNAME": unquote(url.username) if url.username else None,
        "MAIL_PASSWORD": unquote(url.password) if url.password else None,
        "MAIL_DEFAULT_SENDER": chosen.mail_from or _sender(chosen),
    }


def is_set_up() -> bool:
    """Whether a mail server is configured; without one, mails wait."""
    return bool(settings.mail_url.get_secret_value())


def send_due() -> int:
    """Send the mails that are due, single ones first; return how many were settled."""
    if not is_set_up():
        return 0
    return (
        _deliver(outbox.lease(AT_ONCE, now=utcnow()))
        + _deliver(_lease_bulk())
        + _deliver(outbox.lease_suspect(now=utcnow()))
    )


def matters(mails: Sequence[Mail]) -> dict[UUID, Matter | Notice]:
    """The subject matter of each mail, by mail id; missing if what the mail was about is gone."""
    return invitation_mail.matters(mails) | account_mail.notices(mails)


def render(mail: Mail, matter: Matter | Notice, *, proves: bool = True) -> Letter:
    """Render an outbox row as it would be sent now; `proves` as in `invitation_messages.render`."""
    if isinstance(matter, Notice):
        return account_messages.render(mail, matter)
    return invitation_messages.render(mail, matter, proves=proves)


def masked(mail: Mail, matter: Matter | Notice) -> Letter:
    """The message with the secrets masked that only its recipient may see."""
    if isinstance(matter, Notice):
        return account_messages.masked(mail, matter)
    return invitation_messages.masked(mail, matter)


def _lease_bulk() -> list[Mail]:
    rate = settings.bulk_mails_per_minute
    count = min(max(rate * STEP // 60, 1), MOST_AT_ONCE)
    return outbox.lease_bulk(count, each=timedelta(minutes=1) / rate, now=utcnow())


def _deliver(due: Sequence[Mail]) -> int:
    """Send these over one connection, reconnecting whenever it breaks."""
    ready = deque(_worth_sending(due))
    try:
        while ready:
            with SmtpConnection(current_app.extensions["mail"]) as connection:
                _send_while_open(ready, connection)
    except ServerAway as away:
        log.warning("mail server away", error=str(away))
        outbox.postpone([mail for mail, _ in ready], str(away), now=utcnow())
    return len(due) - len(ready)


def _worth_sending(due: Sequence[Mail]) -> Iterator[tuple[Mail, Matter | Notice]]:
    """Yield the mails that can be sent; mark the others as failed, with the reason."""
    left = []
    for mail in due:
        if mail.deaths >= outbox.MOST_DEATHS or mail.tries > outbox.MOST_TRIES:
            log.error("mail given up", id=str(mail.id), deaths=mail.deaths, tries=mail.tries)
            outbox.failed(mail, KILLER, now=utcnow(), for_good=True)
        else:
            left.append(mail)
    try:
        found = matters(left)
    except Exception as error:
        if len(left) == 1:
            _not_written(left[0], error)
        else:  # find out which one fails
            for mail in left:
                yield from _worth_sending([mail])
        return
    for mail in left:
        matter = found.get(mail.id)
        obstacle = matter.obstacle(mail.kind, utcnow()) if matter else "What it was about is gone."
        if matter is None or obstacle:
            outbox.failed(mail, obstacle or "", now=utcnow(), for_good=True)
        else:
            yield mail, matter


def _not_written(mail: Mail, error: Exception) -> None:
    """Mark a mail that cannot be rendered as failed, to be retried later."""
    log.error("mail not written", id=str(mail.id), exc_info=error)
    reason = f"It could not be written: {type(error).__name__}. The log says more."
    outbox.failed(mail, reason, now=utcnow())


def _send_while_open(
    ready: deque[tuple[Mail, Matter | Notice]], connection: SmtpConnection
) -> None:
    """Send the mails, rendering each while the server takes the one before it.

    The previous mail is recorded as sent before the content of the next is handed over, so if the
    worker dies, at most one mail is sent twice.
    """
    with _Last(connection) as last:
        while ready and connection.is_open:
            mail, matter = ready[0]
            try:
                letter = render(mail, matter)
            except Exception as error:
                ready.popleft()
                _not_written(mail, error)
                continue
            last.hear()
            if mail.leased_until is None or mail.leased_until - utcnow() < LEASE_LEFT:
                # The server is so slow that these leases would expire before it has taken them.
                outbox.release([waiting for waiting, _ in ready])
                ready.clear()
            elif connection.is_open:
                ready.popleft()
                if _went_well(mail, partial(connection.send, letter, meanwhile=last.settle)):
                    last.unanswered = mail


class _Last:
    """The mail handed to the server last: first unanswered, then taken, then settled."""

    def __init__(self, connection: SmtpConnection) -> None:
        self._connection = connection
        self.unanswered: Mail | None = None
        self._taken: Mail | None = None

    def hear(self) -> None:
        """Wait for the server's reply to it."""
        mail, self.unanswered = self.unanswered, None
        if mail and _went_well(mail, self._connection.answer):
            self._taken = mail

    def settle(self) -> None:
        """Record it as sent, if the server took it."""
        mail, self._taken = self._taken, None
        if mail:
            outbox.sent(mail, now=utcnow())

    def __enter__(self) -> "_Last":
        return self

    def __exit__(self, *_: object) -> None:
        self.hear()
        self.settle()


def _went_well(mail: Mail, step: Callable[[], object]) -> bool:
    """Run one step of sending a mail; if it fails, record the failure and return False."""
    try:
        step()
    except SMTPRecipientsRefused as error:
        _refused(mail, *next(iter(error.recipients.values())))
    except SMTPSenderRefused as error:
        # The problem is our configuration, not this mailbox.
        outbox.failed(mail, f"Our own address is refused: {_words(error.smtp_error)}", now=utcnow())
    except SMTPResponseException as error:
        _refused(mail, error.smtp_code, error.smtp_error)
    except (BadHeaderError, UnicodeError):
        reason = "The mail server cannot write to this address."
        outbox.failed(mail, reason, now=utcnow(), for_good=True)
    except (OSError, SMTPException) as error:
        outbox.failed(mail, f"The connection broke: {error}", now=utcnow())
    else:
        return True
    return False


def _refused(mail: Mail, code: int, reason: bytes | str) -> None:
    """Record the failure: a 5yz reply is final, a 4yz one is not (RFC 5321)."""
    outbox.failed(mail, f"{code} {_words(reason)}", now=utcnow(), for_good=500 <= code < 600)


def _words(answer: bytes | str) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


def _sender(chosen: Settings) -> str:
    host = urlsplit(chosen.base_url).hostname or "localhost"
    return formataddr((chosen.site_name, f"invitations@{host}"))
