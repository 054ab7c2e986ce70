"""Password resets by a mailed code. Each verb commits last.

A reset changes the password and ends sessions, nothing else: it confirms no e-mail and accepts no
invitation.
"""

from datetime import datetime

from portal.domain.accounts import accounts, passwords, sessions, verification
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.mail import outbox
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, Purpose


def request(identity: str, *, origin: Origin, now: datetime) -> None:
    """Mail a code if the account exists; the caller does not learn whether it does.

    Raises `AskedTooOften`, counted by network address only.
    """
    verification.require_patience(origin, now=now)
    account = accounts.find(identity)
    if account is not None and account.deactivated_at is None:
        verification.send(account, Purpose.RESET, now=now)
    db.session.commit()


def exchange(identity: str, code: str, *, origin: Origin, now: datetime) -> str:
    """Exchange the mailed code for another, for clients that ask for the password in a second step.

    Raises as `verification.confirm` does.
    """
    used = verification.confirm(
        accounts.find(identity), Purpose.RESET, code, origin=origin, now=now
    )
    next_code = verification.hand_out_code(used.account, Purpose.NEW_PASSWORD, now=now)
    db.session.commit()
    return next_code


def finish(
    identity: str,
    code: str,
    password: str,
    *,
    origin: Origin,
    now: datetime,
    step: Purpose = Purpose.RESET,
) -> Account:
    """Set a new password by the mailed code, or with `step` NEW_PASSWORD by the exchanged one.

    Every session and API token ends. Raises `WeakPassword` before the code is checked, and as
    `verification.confirm` does.
    """
    passwords.require_strong(password)
    used = verification.confirm(accounts.find(identity), step, code, origin=origin, now=now)
    # Hash only for a right code, and after a commit, so that nobody waits for our locks meanwhile.
    claim = verification.hand_out_token(used.account, Purpose.NEW_PASSWORD, now=now)
    db.session.commit()
    hashed = passwords.hashed(password)
    account = verification.confirm_link(claim, Purpose.NEW_PASSWORD, now=now).account
    account.password_hash, account.failed_sign_ins = hashed, 0
    verification.void(account.id, now=now)
    sessions.revoke_all_of(account.id, now=now)
    api_tokens.revoke_all_of(account, by=account, origin=origin, now=now)
    outbox.queue("password_changed", to=account.email, about=account.id, now=now)
    audit.record("password.reset", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()
    return account
