"""Password checks that hold no lock while hashing.

The attempt is counted and committed first, because hashing is slow and a lock held meanwhile would
make others wait. Afterwards the stored hash is compared again, as it may have changed.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm.attributes import set_committed_value

from portal.domain.accounts import passwords
from portal.domain.audit import audit
from portal.domain.errors import InvalidCredentials
from portal.domain.lockout.lockout import SignIn
from portal.extensions import db
from portal.models import Account


def prove(attempt: SignIn, account: Account | None, password: str, now: datetime) -> Account:
    """Reserve an attempt and evaluate it. Raises `LockedOut`, and as `evaluate` does."""
    attempt.reserve(now=now)
    return evaluate(attempt, account, password, now)


def evaluate(
    attempt: SignIn,
    account: Account | None,
    password: str,
    now: datetime,
    *,
    replacement: str | None = None,
) -> Account:
    """The account, if the password is right; `replacement`, if given, becomes the new password.

    The attempt must be reserved: a locked-out client must not cost a hash. Until the caller
    commits, nobody else can change the password or deactivate the account. Raises
    `InvalidCredentials`.
    """
    fits = passwords.fits(password, account.password_hash if account else None)
    if account is None or not fits or not _hold(account, password, replacement):
        attempt.fail(now=now)
        actor = account.id if account else None
        audit.record("sign_in.refused", now=now, origin=attempt.origin, actor=actor)
        db.session.commit()
        raise InvalidCredentials
    attempt.succeed(now=now)
    return account


def _hold(account: Account, password: str, replacement: str | None) -> bool:
    """Whether the password that matched is still current. Part of the transaction.

    A concurrent password change or deactivation either came first and is seen here, or waits for us
    and then ends the session we open.
    """
    kept = seen = account.password_hash
    if replacement is not None or passwords.is_outdated(seen):
        kept = passwords.hashed(password if replacement is None else replacement)
    held = db.session.execute(
        sa.update(Account)
        .where(Account.id == account.id, Account.password_hash == seen)
        .values(password_hash=kept)
        .returning(Account.deactivated_at)
        .execution_options(synchronize_session=False)
    ).first()
    if held is None:
        return False
    set_committed_value(account, "password_hash", kept)
    set_committed_value(account, "deactivated_at", held.deactivated_at)
    return True
