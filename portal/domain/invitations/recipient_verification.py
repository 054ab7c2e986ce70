"""Recipient verification: proof that a bound invitation was made for this person.

A code can be passed on, and anybody can type an address. Where mail can be sent, an address counts
once it is proven: by the link in the invitation e-mail, by a code mailed to it now, or by the
signed-in account. With `RECIPIENT_PROOF=typed`, or without a mail server, typing it is enough.
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
    """Proof of an address: a code just mailed to it, a link's token, the signed-in account."""

    code: str = ""
    link: str = ""
    account: Account | None = None


NOTHING = Proof()


def of_link(invitation: UUID, recipient: str) -> str:
    """The token that a link mailed to `recipient` carries beside the code."""
    return _of_link(invitation, recipient)[0]


def proven_address(offer: Offer, proof: Proof) -> str | None:
    """The address that the link or the account proves to be the recipient's, if any."""
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
    """The address that redeems the invitation, and whether it is proven; `email` was typed.

    Takes part in the caller's transaction. Raises `RecipientRequired` and, depending on the
    setting, `WrongRecipient`, or `RecipientUnproven` and `VerificationRefused`. The latter two
    reveal nothing about whether the address matches; after the last one the caller commits the
    counted miss.
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
    """Mail a code to the typed address, if the invitation was made for it. Commits.

    Raises `AskedTooOften`, counted by network address only.
    """
    db.session.rollback()  # drop everything of the failed attempt
    verification.require_patience(origin, now=now)
    if unproven.suits:
        verification.send_to_recipient(unproven.invitation, unproven.email, now=now)
    db.session.commit()


def _fits(proof: str, invitation: UUID, recipient: str) -> bool:
    known = _of_link(invitation, recipient)
    return any(compare_digest(proof.encode(), each.encode()) for each in known)


def _of_link(invitation: UUID, recipient: str) -> list[str]:
    """The token under each key, since mails outlive a secret."""
    macs = keys.macs(_PURPOSE, f"{invitation} {recipient}".encode())
    return [urlsafe_b64encode(mac[:_LENGTH]).rstrip(b"=").decode() for mac in macs]
