"""How many files one account may send: each costs the portal more work than a request does."""

from datetime import datetime
from uuid import UUID

from limits import RateLimitItemPerHour

from portal.domain.errors import TooManyUploads
from portal.domain.lockout.counters import counting
from portal.extensions import db

PICTURES = RateLimitItemPerHour(30, namespace="pictures of an account")
IMPORTS = RateLimitItemPerHour(120, namespace="imports of an account")


def count(limit: RateLimitItemPerHour, account: UUID, *, now: datetime) -> None:
    """Count a file before anything is done with it. Commits; raises `TooManyUploads`."""
    is_allowed = counting(now).hit(limit, account.hex)
    db.session.commit()
    if not is_allowed:
        raise TooManyUploads
