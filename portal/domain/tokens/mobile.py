"""Sign-in of the mobile dialect: one device per account, and a limit on wrong passwords.

Strangers must not learn whether an account exists: for any name, known or not, the tenth wrong
password gets the same response.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from portal.domain.accounts import accounts, sessions
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountDeactivated,
    InvalidCredentials,
    SecondFactorRequired,
    SignedInElsewhere,
    TooManyFailures,
)
from portal.domain.invitations import invitations
from portal.domain.mail import outbox
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, Role, Session, Surface

DIALECT = "mobile"
MOST_FAILURES = 10


def sign_in(
    identity: str, password: str, *, origin: Origin, now: datetime, lasts: timedelta
) -> Session:
    """Open a session on this device, replacing the one it may have.

    The tenth wrong password in a row deactivates a member. Raises `SignedInElsewhere`,
    `TooManyFailures`, and as `accounts.authenticate` does.
    """
    try:
        account = accounts.authenticate(identity, password, origin=origin, now=now)
    except SecondFactorRequired:
        raise
    except InvalidCredentials:
        _count_failure(identity, origin, now)
        raise
    except AccountDeactivated:
        _tell_failures_from_staff(identity)
        raise
    _make_room(account, origin, now)
    return accounts.start_session(
        account,
        origin=origin,
        now=now,
        surface=Surface.API,
        dialect=DIALECT,
        lasts=lasts,
    )


def _make_room(account: Account, origin: Origin, now: datetime) -> None:
    """End this device's session; raise `SignedInElsewhere` if another device has one.

    Takes part in the transaction, but commits before it raises. The update serialises sign-ins to
    this account; a unique index backs it.
    """
    _update(account, failed_sign_ins=0)
    living = sessions.living_in(DIALECT, account.id, now=now)
    if living is None:
        return
    if living.device != origin.place:
        audit.record("sign_in.elsewhere", now=now, origin=origin, actor=account.id)
        db.session.commit()
        raise SignedInElsewhere
    sessions.revoke(living, now=now)
    db.session.flush()


def _count_failure(identity: str, origin: Origin, now: datetime) -> None:
    """Count towards deactivation; raise `TooManyFailures` if the name has no attempts left."""
    account = accounts.find(identity)
    if account is not None and account.role is Role.MEMBER:
        _count_against(account, origin, now)
    if accounts.attempt_at(identity, account, origin).is_spent(now=now):
        raise TooManyFailures


def _count_against(account: Account, origin: Origin, now: datetime) -> None:
    failures = db.session.scalar(
        sa.update(Account)
        .where(Account.id == account.id, Account.deactivated_at.is_(None))
        .values(failed_sign_ins=Account.failed_sign_ins + 1)
        .returning(Account.failed_sign_ins)
        .execution_options(synchronize_session=False)
    )
    is_over = failures is not None and failures >= MOST_FAILURES
    if is_over:
        _update(account, deactivated_at=now)
        sessions.revoke_all_of(account.id, now=now)
        invitations.withdraw(account, now=now)
        api_tokens.revoke_all_of(account, by=None, origin=origin, now=now)
        outbox.queue("deactivated", to=account.email, about=account.id, now=now)
        audit.record("account.deactivated", now=now, origin=origin, subject=account.id)
    db.session.commit()
    if is_over:
        raise TooManyFailures


def _tell_failures_from_staff(identity: str) -> None:
    """Raise `TooManyFailures` if wrong passwords, not staff, deactivated the account."""
    account = accounts.find(identity)
    if account is not None and account.failed_sign_ins >= MOST_FAILURES:
        raise TooManyFailures


def _update(account: Account, **values: object) -> None:
    db.session.execute(sa.update(Account).where(Account.id == account.id).values(**values))
