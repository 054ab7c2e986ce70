"""Invitation e-mails: filled-in templates, text and HTML, QR code, headers."""

from base64 import encodebytes
from binascii import b2a_qp
from email.header import Header
from email.utils import formataddr, formatdate, parseaddr
from functools import lru_cache
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import render_template
from flask_mail import Message

from portal.clock import utcnow
from portal.config import settings
from portal.domain.invitations import codes, invitations, recipient_verification
from portal.domain.mail import invitation_mail, unsubscribe
from portal.domain.mail.invitation_mail import Matter
from portal.mail.languages import LANGUAGES, Language
from portal.mail.qr import qr_png
from portal.models import Invitation, Mail

EXAMPLE_CODE = "XXXX-XXXX-XXXX"
QR_ID = "code.qr"


class Letter(Message):
    """A message whose HTML shows its picture inline: mail clients need the two as related parts.

    The parts are assembled by hand, in a tenth of the time the email package takes.
    """

    picture: bytes = b""
    refusal_url: str = ""

    def as_bytes(self) -> bytes:
        """Text, with HTML and the picture it refers to as the alternative (RFC 2046, RFC 2387)."""
        related = _multipart("related", [_text("html", self.html or ""), *self._pictures()])
        whole = _multipart("alternative", [_text("plain", self.body or ""), related])
        headers = "".join(f"{name}: {value}\n" for name, value in self._headers().items())
        return (headers.encode("ascii") + whole).replace(b"\n", b"\r\n")

    def _pictures(self) -> list[bytes]:
        if not self.picture:
            return []
        headers = (
            "Content-Type: image/png\nContent-Transfer-Encoding: base64\n"
            f'Content-ID: <{QR_ID}>\nContent-Disposition: inline; filename="code.png"\n\n'
        )
        return [headers.encode() + encodebytes(self.picture)]

    def _headers(self) -> dict[str, str]:
        return {
            "Subject": _encoded(self.subject, "Subject"),
            "From": _from(str(self.sender)),
            "To": str(self.recipients[0]),
            "Date": formatdate(self.date),
            "Message-ID": self.msgId,
            **(self.extra_headers or {}),
            "MIME-Version": "1.0",
        }


def render(mail: Mail, matter: Matter, *, proves: bool = True) -> Letter:
    """Render the message of an outbox row as it would be sent now.

    With `proves`, its link proves that its reader has the mailbox; pass False to show the message
    to anybody else.
    """
    code = invitations.code_of(matter.invitation)
    proof = _proof(matter.invitation, mail.recipient) if proves else ""
    letter = _letter(mail.kind, matter, code, mail.recipient, proof)
    letter.msgId = _message_id(mail)
    letter.extra_headers = _extra_headers(mail, letter.refusal_url)
    if mail.kind != "expired":
        letter.picture = qr_png(_link(code, proof))
    return letter


def masked(mail: Mail, matter: Matter) -> Letter:
    """The message as staff see it, with the code and the unsubscribe link masked."""
    code = invitations.code_of(matter.invitation)
    letter = _letter(mail.kind, matter, codes.MASKED, mail.recipient)
    letter.msgId = _message_id(mail)
    letter.subject, letter.body, letter.html = (
        codes.masked((text or "").replace(letter.refusal_url, codes.MASKED), code)
        for text in (letter.subject, letter.body, letter.html)
    )
    return letter


def preview(matter: Matter, recipient: str) -> Letter:
    """The invitation as `recipient` would get it, with a code that does not work."""
    return _letter("invitation", matter, EXAMPLE_CODE, recipient)


def _message_id(mail: Mail) -> str:
    return f"<{mail.id}@{urlsplit(settings.base_url).hostname}>"


def _letter(kind: str, matter: Matter, code: str, recipient: str, proof: str = "") -> Letter:
    invitation, own = matter.invitation, kind == "invitation"
    language = LANGUAGES[matter.language or settings.locale]
    values = _values(invitation, code, recipient, language, proof)
    subject = (matter.subject if own else "") or language.subjects[kind]
    message = (matter.message if own else "") or _our_words(kind, language, invitation)
    opens = invitation.starts_at
    shown: dict[str, Any] = {
        "kind": kind,
        "language": language,
        "message": invitation_mail.fill(message, values),
        "values": values,
        "expires_at": invitation.expires_at,
        "opens_at": opens if opens and opens > utcnow() else None,
        "refusal_url": unsubscribe.url(invitation.id),
    }
    letter = Letter(
        subject=invitation_mail.one_line(invitation_mail.fill(subject, values)),
        recipients=[recipient],
        body=render_template("mail/letter.txt", **shown),
        html=render_template("mail/letter.html", **shown),
    )
    letter.refusal_url = shown["refusal_url"]
    return letter


def _our_words(kind: str, language: Language, invitation: Invitation) -> str:
    message = language.messages[kind]
    return f"{language.greeting}\n\n{message}" if invitation.recipient_name else message


def _values(
    invitation: Invitation, code: str, recipient: str, language: Language, proof: str
) -> dict[str, str]:
    ends = invitation.expires_at
    return {
        "name": invitation.recipient_name or recipient,
        "code": code,
        "link": _link(code, proof),
        "expires": language.moment(ends) if ends else language.no_end,
        "site": settings.site_name,
        "inviter": invitation.created_by.username,
    }


def _link(code: str, proof: str) -> str:
    values = {"code": code} | ({"proof": proof} if proof else {})
    return f"{settings.base_url}/?{urlencode(values, safe='*')}"


def _proof(invitation: Invitation, mailed_to: str) -> str:
    """The token in the link that proves that its reader has this mailbox."""
    if invitation.recipient != mailed_to:
        return ""
    return recipient_verification.of_link(invitation.id, mailed_to)


def _extra_headers(mail: Mail, refusal_url: str) -> dict[str, str]:
    """Suppress automatic replies (RFC 3834), and offer one-click unsubscribe (RFC 8058)."""
    headers = {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "List-Unsubscribe": f"<{refusal_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    return headers | ({"Precedence": "bulk"} if mail.batch_id else {})


def _multipart(kind: str, parts: list[bytes]) -> bytes:
    """Join parts under a boundary that occurs in none of them."""
    boundary = f"={token_hex(12)}="
    line = f"--{boundary}\n".encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n'.encode()
    return head + b"".join(line + part + b"\n" for part in parts) + f"--{boundary}--\n".encode()


def _text(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: quoted-printable"
    lines = "\n".join(text.splitlines())
    return head.encode() + b"\n\n" + b2a_qp(lines.encode(), istext=True)


@lru_cache(maxsize=16)
def _from(sender: str) -> str:
    name, address = parseaddr(sender)
    return formataddr((_encoded(name, "From"), address))


@lru_cache(maxsize=256)
def _encoded(text: str, header: str) -> str:
    """Encode a header value, folded if it is long (RFC 2047)."""
    return Header(text, None if text.isascii() else "utf-8", header_name=header).encode()
