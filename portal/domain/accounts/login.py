"""Sign-in on the web pages: by password with 2FA where it is set up, or by passkey.

API clients have no second step: `accounts.sign_in` rejects accounts that need one.
"""

from dataclasses import dataclass
from datetime import datetime

from portal.domain.accounts import accounts, passkeys, sessions, two_factor, verification
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import SecondFactorRefused, SignInRequired
from portal.domain.lockout.lockout import SignIn
from portal.extensions import db
from portal.models import Account, Purpose, Session


@dataclass(frozen=True)
class SecondStep:
    """The password was right; `token` proves it for ten minutes, until the second factor."""

    token: str


def begin(
    identity: str, password: str, *, origin: Origin, now: datetime, replaces: Session | None = None
) -> Session | SecondStep:
    """Check the password: a session, or a token for the second step.

    Raises as `accounts.first_step` does.
    """
    account, another_follows = accounts.first_step(identity, password, origin=origin, now=now)
    if not another_follows:
        return accounts.start_session(account, origin=origin, now=now, replaces=replaces)
    token = verification.hand_out_token(account, Purpose.SECOND_FACTOR, now=now)
    db.session.commit()
    return SecondStep(token)


def waiting(token: str, *, now: datetime) -> Account:
    """The account that has passed the password check only. Raises `SignInRequired`."""
    found = verification.by_link(token, Purpose.SECOND_FACTOR)
    if found is None or not found.lives(now) or found.account.deactivated_at is not None:
        raise SignInRequired
    return found.account


def finish(
    token: str, code: str, *, origin: Origin, now: datetime, replaces: Session | None = None
) -> Session:
    """A session, for a TOTP code or a recovery code.

    The attempt is counted before it is checked, as for passwords. Raises `SignInRequired`,
    `LockedOut`, `SecondFactorRefused`.
    """
    account = waiting(token, now=now)
    known = sessions.knows_device(account.id, origin)
    attempt = SignIn(two_factor.name_of_tries(account), origin, known)
    attempt.reserve(now=now)
    try:
        two_factor.use(account, code, now=now)
    except SecondFactorRefused:
        attempt.fail(now=now)
        audit.record("second_factor.refused", now=now, origin=origin, actor=account.id)
        db.session.commit()
        raise
    verification.confirm_link(token, Purpose.SECOND_FACTOR, now=now)
    attempt.succeed(now=now)
    return accounts.start_session(account, origin=origin, now=now, replaces=replaces)


def finish_by_passkey(
    answer: str, *, origin: Origin, now: datetime, replaces: Session | None = None
) -> Session:
    """A session, for a passkey: it counts as both factors.

    Raises `PasskeyRefused`, `AccountDeactivated`, `EmailUnconfirmed`.
    """
    account = passkeys.use(answer, origin=origin, now=now)
    accounts.require_open(account)
    return accounts.start_session(account, origin=origin, now=now, replaces=replaces)
