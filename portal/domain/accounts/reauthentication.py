"""Re-authentication: asks for the password again before sensitive or irreversible changes.

A hijacked session must not allow guessing the password. Wrong guesses count against the session,
which ends at the tenth, and against the account and the address on any device. They are counted
apart from sign-ins, so they lock nobody out of signing in.
"""

from datetime import datetime

import sqlalchemy as sa

from portal.db import hot
from portal.db.hot import SESSION, Statement
from portal.db.types import UTCDateTime
from portal.domain.accounts import password_check
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import InvalidCredentials, SessionEnded
from portal.domain.lockout.lockout import SignIn
from portal.extensions import db
from portal.models import Account, Session

MOST_WRONG = 10  # passwords within one session


def require_password(
    account: Account,
    password: str,
    *,
    session: Session,
    origin: Origin,
    now: datetime,
    replacement: str | None = None,
) -> None:
    """Check the password within `session`; `replacement`, if given, becomes the new one.

    Raises `LockedOut`, `InvalidCredentials`, and `SessionEnded` after too many wrong ones.
    """
    attempt = SignIn(name_of_tries(account), origin, device_is_known=False)
    attempt.reserve(now=now)
    if not hot.rows(_COUNT, {"within": session.id}):
        _end(session, origin, now)
        raise SessionEnded
    try:
        password_check.evaluate(attempt, account, password, now, replacement=replacement)
    except InvalidCredentials as error:
        if _is_spent(session):
            _end(session, origin, now)
            raise SessionEnded from error
        raise InvalidCredentials("Your password is not right.") from error
    SESSION.rows(_FORGET, {"within": session.id})


def name_of_tries(account: Account) -> str:
    """The name under which wrong guesses within this account's sessions are counted."""
    return f"within a session {account.id}"


_WITHIN = Session.id == sa.bindparam("within", type_=Session.id.type)
_COUNT = Statement(
    sa.update(Session)
    .where(_WITHIN, Session.revoked_at.is_(None), Session.wrong_passwords < MOST_WRONG)
    .values(wrong_passwords=Session.wrong_passwords + 1)
    .returning(Session.id)
)
_FORGET = Statement(sa.update(Session).where(_WITHIN).values(wrong_passwords=0))
_END = Statement(
    sa.update(Session)
    .where(_WITHIN, Session.revoked_at.is_(None))
    .values(revoked_at=sa.bindparam("ended", type_=UTCDateTime))
    .returning(Session.id)
)


def _is_spent(session: Session) -> bool:
    wrong = sa.select(Session.wrong_passwords).where(Session.id == session.id)
    return db.session.scalars(wrong).one() >= MOST_WRONG


def _end(session: Session, origin: Origin, now: datetime) -> None:
    if SESSION.rows(_END, {"within": session.id, "ended": now}):  # once, of parallel guesses
        audit.record("session.guessed_in", now=now, origin=origin, actor=session.account_id)
    db.session.commit()
