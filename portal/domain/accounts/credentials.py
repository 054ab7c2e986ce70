"""Changes of password and e-mail by a signed-in account. Each verb commits once, last."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError

from portal.domain.accounts import (
    accounts,
    emails,
    passwords,
    reauthentication,
    registration,
    sessions,
    verification,
)
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import AccountTaken, VerificationRefused
from portal.domain.mail import outbox
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, EmailProof, Purpose, Session, Verification


def change_password(
    account: Account,
    current: str,
    new: str,
    *,
    keeps: Session,
    origin: Origin,
    now: datetime,
    end_tokens: bool = False,
) -> int:
    """Change the password and end every session but `keeps`; return how many ended.

    With `end_tokens`, also revoke the account's API tokens. Raises `WeakPassword`, and as
    `reauthentication.require_password` does.
    """
    passwords.require_strong(new)
    reauthentication.require_password(
        account, current, session=keeps, origin=origin, now=now, replacement=new
    )
    verification.void(account.id, now=now)
    ended = sessions.revoke_others_of(keeps, now=now)
    if end_tokens:
        api_tokens.revoke_all_of(account, by=account, origin=origin, now=now)
    outbox.queue("password_changed", to=account.email, about=account.id, now=now)
    audit.record("password.changed", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()
    return ended


def request_new_email(
    account: Account,
    email: str,
    password: str,
    *,
    session: Session,
    origin: Origin,
    now: datetime,
) -> str:
    """Mail a code and a link to the new address; return it as stored. Nothing changes yet.

    If the address belongs to another account, it gets a notice instead of a code, so the caller
    does not learn of that account. Raises `InvalidEmail`, `AskedTooOften`, and as
    `reauthentication.require_password` does.
    """
    email = emails.normalise(email)
    verification.require_patience(origin, now=now)
    reauthentication.require_password(account, password, session=session, origin=origin, now=now)
    other = accounts.find(email)
    if other is None:
        verification.send(account, Purpose.NEW_EMAIL, email=email, now=now)
    elif other.id != account.id:
        registration.say_it_is_there(other, now=now)
    db.session.commit()
    return email


def confirm_new_email(account: Account, code: str, *, origin: Origin, now: datetime) -> None:
    """Change the e-mail to the address the code was mailed to.

    Raises `AccountTaken`, and as `verification.confirm` does.
    """
    used = verification.confirm(account, Purpose.NEW_EMAIL, code, origin=origin, now=now)
    _take(used, origin, now)


def confirm_new_email_by_link(token: str, *, origin: Origin, now: datetime) -> None:
    """Change the e-mail to the address the link was mailed to.

    Raises `VerificationRefused`, `AccountTaken`.
    """
    _take(verification.confirm_link(token, Purpose.NEW_EMAIL, now=now), origin, now)


def _take(used: Verification, origin: Origin, now: datetime) -> None:
    """Take the address from the verification itself, whatever was requested since."""
    account, before = used.account, used.account.email
    if used.email is None or account.deactivated_at is not None:
        raise VerificationRefused
    try:
        with db.session.begin_nested():
            account.email, account.confirmed_at = used.email, now
            account.email_proof = EmailProof.MAIL
    except IntegrityError as error:
        raise AccountTaken from error
    # Codes still in the old mailbox must no longer open the account.
    verification.void(account.id, now=now)
    outbox.queue("email_changed", to=before, about=account.id, now=now)
    audit.record("email.changed", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()
