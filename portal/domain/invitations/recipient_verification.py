"""How somebody shows that a bound invitation was made for them.

A code may have been passed on, and anybody can type an address. Where mail can be sent, an address
counts once it is proven: by the link that was mailed to it, by a code mailed to it now, or by the
account that is signed in. With `RECIPIENT_PROOF=typed`, or without a mail server, typing it is
enough.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from uuid import UUID

from portal.config import settings
from portal.domain.accounts import verification
from portal.domain.client import Origin
from portal.domain.crypto import keys
from portal.domain.errors import RecipientRequired, RecipientUnproven, WrongRecipient
from portal.domain.invitations.lookup import Offer
from portal.extensions import db
from portal.models import Account

_PURPOSE = "recipient proof"
_LENGTH = 16  # bytes


@dataclass(frozen=True)
class Proof:
    """What somebody shows beside an address: the code that was mailed to it just now, what the
    link of an invitation mail carried, and the account that is signed in."""

    code: str = ""
    link: str = ""
    account: Account | None = None


NOTHING = Proof()


def of_link(invitation: UUID, recipient: str) -> str:
    """What the link that is mailed to `recipient` carries beside the invitation's code."""
    return _of_link(invitation, recipient)[0]


def proven_address(offer: Offer, proof: Proof) -> str | None:
    """The address the invitation was made for, as the link or the account proves it, if it does."""
    if offer.recipient is None:
        return None
    if proof.link and _fits(proof.link, offer.id, offer.recipient):
        return offer.recipient
    account = proof.account
    if account and account.email_is_proven and offer.suits(account.email):
        return account.email
    return None


def require(
    offer: Offer, email: str | None, proof: Proof, *, origin: Origin, now: datetime
) -> tuple[str | None, bool]:
    """The address that opens the invitation, and whether it is proven; `email` was typed.

    Takes part in the caller's transaction. Raises `RecipientRequired`, and by the setting
    `WrongRecipient`, or `RecipientUnproven` and `VerificationRefused`. The last two are the same
    whether or not the address suits, and the caller commits the misses of the last.
    """
    if offer.recipient is None:
        return email, False
    proven = proven_address(offer, proof)
    if proven and email in (None, proven):
        return proven, True
    if email is None:
        raise RecipientRequired
    if not settings.recipients_are_proven:
        if not offer.suits(email):
            raise WrongRecipient
        return email, False
    if not proof.code:
        raise RecipientUnproven(offer.id, email, suits=offer.suits(email))
    verification.confirm_recipient(offer.id, email, proof.code, origin=origin, now=now)
    return email, True


def mail_code(unproven: RecipientUnproven, *, origin: Origin, now: datetime) -> None:
    """Mail a code to the address that was typed, if the invitation was made for it. Commits.

    Raises `AskedTooOften` by the network address alone.
    """
    db.session.rollback()  # nothing of the try that was refused is to be kept
    verification.require_patience(origin, now=now)
    if unproven.suits:
        verification.send_to_recipient(unproven.invitation, unproven.email, now=now)
    db.session.commit()


def _fits(proof: str, invitation: UUID, recipient: str) -> bool:
    known = _of_link(invitation, recipient)
    return any(compare_digest(proof.encode(), each.encode()) for each in known)


def _of_link(invitation: UUID, recipient: str) -> list[str]:
    """By each key: mails outlive a secret."""
    macs = keys.macs(_PURPOSE, f"{invitation} {recipient}".encode())
    return [urlsafe_b64encode(mac[:_LENGTH]).rstrip(b"=").decode() for mac in macs]
