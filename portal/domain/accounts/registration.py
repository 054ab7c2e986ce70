"""Member registration: sign-up and e-mail confirmation. Each verb commits once, last.

Nobody learns here whether an e-mail has an account: the response is the same either way, and the
details go to the mailbox.
"""

from datetime import datetime

from sqlalchemy.exc import IntegrityError

from portal.config import settings
from portal.domain.accounts import accounts, names, passwords, verification
from portal.domain.accounts.profile import Profile
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountTaken,
    CodeRefused,
    NotFound,
    RegistrationClosed,
    VerificationRefused,
)
from portal.domain.invitations import redemptions
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, EmailProof, Purpose, Role, Verification

ALREADY_THERE = "account_exists"  # the mail sent when somebody signs up again


def sign_up(
    *,
    email: str,
    password: str,
    origin: Origin,
    now: datetime,
    username: str = "",
    profile: Profile | None = None,
    invitation_code: str | None = None,
    dialect: str | None = None,
) -> Account | None:
    """Add a member, and mail the code and link that confirm the e-mail.

    An invitation code is redeemed and its role granted in the same transaction; a bound
    invitation's once the e-mail is proven. Returns None if the e-mail has an account: only its
    owner is told, by mail.

    Raises `RegistrationClosed`, `AskedTooOften`, `BadInput`, `InvalidEmail`, `InvalidPhone`,
    `WeakPassword`, `AccountTaken` (for the username), and as `redemptions.enlist_member` does.
    """
    _require_open(invitation_code)
    # Committed on its own: hashing is slow, and others at this address would wait for the lock.
    verification.require_patience(origin, now=now)
    db.session.commit()
    account = accounts.new(email, username or names.drawn_username(), password, now)
    if profile:
        profile.write_to(account)
    if invitation_code:
        redemptions.require_known(invitation_code, origin=origin, now=now)
    account.password_hash = passwords.hashed(password)
    try:
        _add(account, invitation_code, origin, now)
    except IntegrityError:
        db.session.rollback()
        _remind(account.email, now, dialect)
        return None
    verification.send(account, Purpose.ACTIVATION, now=now, dialect=dialect)
    accounts.record_registration(account, origin, now)
    return account


def activate(identity: str, code: str, *, origin: Origin, now: datetime) -> Account:
    """Confirm an e-mail by the mailed code.

    Raises as `verification.confirm` does, and for a bound invitation waiting for this as
    `redemptions.complete` does.
    """
    account = accounts.find(identity)
    return _confirmed(
        verification.confirm(account, Purpose.ACTIVATION, code, origin=origin, now=now),
        origin,
        now,
    )


def activate_by_link(token: str, *, origin: Origin, now: datetime) -> Account:
    """Confirm an e-mail by the mailed link. Raises `VerificationRefused`, or as `activate` does."""
    return _confirmed(verification.confirm_link(token, Purpose.ACTIVATION, now=now), origin, now)


def resend(identity: str, *, origin: Origin, now: datetime) -> None:
    """Mail the code and link again if an e-mail is unconfirmed; the caller does not learn.

    Raises `AskedTooOften`, counted by network address only.
    """
    verification.require_patience(origin, now=now)
    _send_again(accounts.find(identity), now)
    db.session.commit()


def resend_by_link(token: str, *, now: datetime) -> None:
    """Mail them again to the recipient of an earlier link, expired or not. Raises `NotFound`."""
    sent = verification.by_link(token, Purpose.ACTIVATION)
    if sent is None:
        raise NotFound
    _send_again(sent.account, now, sent.dialect)
    db.session.commit()


def say_it_is_there(account: Account, *, now: datetime, dialect: str | None = None) -> None:
    """Tell a mailbox's owner that it already has an account. Takes part in the transaction."""
    if account.confirmed_at is None:
        _send_again(account, now, dialect)
    elif verification.may_write_to(account.email, ALREADY_THERE, now=now):
        outbox.queue(ALREADY_THERE, to=account.email, about=account.id, now=now)


def _require_open(invitation_code: str | None) -> None:
    match settings.member_registration:
        case "closed":
            raise RegistrationClosed("Nobody can sign up at the moment.")
        case "invite" if not invitation_code:
            raise RegistrationClosed


def _add(account: Account, invitation_code: str | None, origin: Origin, now: datetime) -> None:
    if invitation_code:
        redemptions.enlist_member(invitation_code, account, origin=origin, now=now)
    else:
        accounts.add(account, Role.MEMBER)


def _remind(email: str, now: datetime, dialect: str | None) -> None:
    """Notify the owner of a taken e-mail; raise if the username was taken instead."""
    account = accounts.find(email)
    if account is None:
        raise AccountTaken
    say_it_is_there(account, now=now, dialect=dialect)
    db.session.commit()


def _send_again(account: Account | None, now: datetime, dialect: str | None = None) -> None:
    if account and not account.email_is_proven and account.deactivated_at is None:
        verification.send(account, Purpose.ACTIVATION, now=now, dialect=dialect)


def _confirmed(used: Verification, origin: Origin, now: datetime) -> Account:
    account = used.account
    if used.email != account.email:
        db.session.rollback()
        raise VerificationRefused
    account.confirmed_at = account.confirmed_at or now
    account.email_proof = EmailProof.MAIL
    _accept_invitation(account, origin, now)
    audit.record("account.activated", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()
    return account


def _accept_invitation(account: Account, origin: Origin, now: datetime) -> None:
    """Complete the bound invitation that waited; one that has ended only matters if required."""
    try:
        redemptions.complete(account, origin=origin, now=now)
    except CodeRefused:
        if settings.member_registration == "invite":
            db.session.rollback()
            raise
