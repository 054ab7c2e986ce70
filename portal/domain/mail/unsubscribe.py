"""Unsubscribing: the signed link in a mail, and the addresses that used it.

The link names the invitation, not the address, because links are copied, forwarded and logged.
"""

from datetime import datetime
from uuid import UUID

from itsdangerous import BadData, Signer
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.config import settings
from portal.domain.crypto import keys
from portal.domain.errors import NotFound
from portal.extensions import db
from portal.models import Invitation, MailRefusal


def url(invitation_id: UUID) -> str:
    """The unsubscribe link for mails about this invitation."""
    return f"{settings.base_url}/no-more-mail/{_signer().sign(invitation_id.hex).decode()}"


def invitation_of(token: str) -> Invitation:
    """The invitation behind an unsubscribe link; raises `NotFound` for a forged one."""
    try:
        named = UUID(_signer().unsign(token).decode())
    except (BadData, ValueError) as error:
        raise NotFound from error
    invitation = db.session.get(Invitation, named, options=[joinedload(Invitation.batch)])
    if invitation is None or invitation.recipient is None:
        raise NotFound
    return invitation


def refuse(email: str, *, now: datetime) -> None:
    """Unsubscribe an address. Doing it twice changes nothing."""
    db.session.add(MailRefusal(email=email, at=now))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()


def _signer() -> Signer:
    return Signer([key.hex() for key in reversed(keys.derive_all("mail refusal"))])
