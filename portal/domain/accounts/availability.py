"""Whether a username or an e-mail is still free, for clients that ask while a form is filled in.

The response reveals who has an account, so each network address gets sixty queries a minute.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from limits import RateLimitItemPerMinute

from portal.domain.accounts import emails, names
from portal.domain.client import Origin
from portal.domain.errors import LockedOut
from portal.domain.lockout.counters import counting
from portal.extensions import db
from portal.models import Account

_QUESTIONS = RateLimitItemPerMinute(60, namespace="names asked about")


def is_username_free(username: str, *, origin: Origin, now: datetime) -> bool:
    """Whether the username is free. Raises `BadInput` if it is not valid, `LockedOut`."""
    return _is_free(Account.username_key == names.key(names.username(username)), origin, now)


def is_email_free(email: str, *, origin: Origin, now: datetime) -> bool:
    """Whether no account has this e-mail. Raises `InvalidEmail`, `LockedOut`."""
    return _is_free(Account.email == emails.normalise(email), origin, now)


def _is_free(taken: sa.ColumnElement[bool], origin: Origin, now: datetime) -> bool:
    counters = counting(now)
    if not counters.hit(_QUESTIONS, origin.address_bucket):
        ends = counters.get_window_stats(_QUESTIONS, origin.address_bucket).reset_time
        raise LockedOut(datetime.fromtimestamp(ends, UTC))
    db.session.commit()
    return not db.session.scalar(sa.select(sa.exists().where(taken)))
