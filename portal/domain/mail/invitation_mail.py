"""Contents of invitation e-mails: plain text with named fields.

Fields are replaced by name in a single pass: what staff or recipients wrote never reaches Python's
format language or Jinja, and a value that looks like a field is left alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from unicodedata import category
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from portal.domain.errors import BadInput
from portal.extensions import db
from portal.models import Invitation, Letter, Mail, MailRefusal, Status

LONGEST_SUBJECT = 200
LONGEST_MESSAGE = 5000

_FIELD = re.compile(r"\{(name|code|link|expires|site|inviter)\}")
_LOOKS_LIKE_A_FIELD = re.compile(r"\{[^{}\n]{0,40}\}")
_TOO_LATE = {
    Status.REVOKED: "The invitation was revoked before this was sent.",
    Status.EXPIRED: "The invitation ended before this was sent.",
    Status.USED: "The invitation was used before this was sent.",
}


@dataclass(frozen=True)
class Matter:
    """The contents of a mail: the invitation with its issuer, and the issuer's text.

    An empty `subject` or `message` means the default. `is_refused`: the recipient has unsubscribed.
    """

    invitation: Invitation
    subject: str = ""
    message: str = ""
    language: str | None = None
    is_refused: bool = False

    @property
    def has_secrets(self) -> bool:
        """Whether it contains something meant only for its recipient: always, the code."""
        return True

    def obstacle(self, kind: str, now: datetime) -> str | None:
        """Why a mail of that kind must not be sent any more, as a sentence; None if it may be."""
        if self.is_refused:
            return "This address asked not to be written to."
        status = self.invitation.status(now)
        if kind == "expired":
            return None if status is Status.EXPIRED else "The invitation has not ended after all."
        return _TOO_LATE.get(status)


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its named fields replaced; anything else stays as it is."""
    return _FIELD.sub(lambda field: values[field[1]], text)


def unknown_fields(text: str) -> list[str]:
    """Apparent fields that do not exist, as a hint to the author."""
    braces = dict.fromkeys(_LOOKS_LIKE_A_FIELD.findall(text))
    return [found for found in braces if not _FIELD.fullmatch(found)]


def one_line(text: str) -> str:
    """`text` made safe for a header: no line breaks or control characters."""
    return " ".join("".join(" " if category(c) == "Cc" else c for c in text).split())


def check(subject: str, message: str) -> None:
    """Raise `BadInput` for text no mail can carry (a line break in a subject is a header)."""
    if len(subject) > LONGEST_SUBJECT or any(category(c) == "Cc" for c in subject):
        raise BadInput("The subject must be one line of plain text.")
    if len(message) > LONGEST_MESSAGE or any(
        category(c) == "Cc" and c not in "\r\n\t" for c in message
    ):
        raise BadInput("The message must be plain text.")


def matters(mails: Sequence[Mail]) -> dict[UUID, Matter]:
    """The contents of these mails by mail id, without those whose invitation is gone."""
    found = db.session.execute(
        sa.select(Mail.id, Invitation, Letter, MailRefusal.email)
        .join(Invitation, Invitation.id == Mail.about_id)
        .outerjoin(Letter, Letter.invitation_id == Invitation.id)
        .outerjoin(MailRefusal, MailRefusal.email == Mail.recipient)
        .where(Mail.id.in_([mail.id for mail in mails]))
        .options(joinedload(Invitation.created_by), joinedload(Invitation.batch))
        # Hours may pass between two reads by a worker.
        .execution_options(populate_existing=True)
    )
    return {
        mail_id: _matter(invitation, letter, is_refused=refusal is not None)
        for mail_id, invitation, letter, refusal in found
    }


def _matter(invitation: Invitation, letter: Letter | None, *, is_refused: bool) -> Matter:
    words = letter or invitation.batch
    return Matter(
        invitation,
        subject=words.subject if words else "",
        message=words.message if words else "",
        language=invitation.mail_language,
        is_refused=is_refused,
    )
