"""The rate limit on uploads per account: each file is more work than a request."""

from datetime import datetime
from uuid import UUID

from limits import RateLimitItemPerHour

from portal.domain.errors import TooManyUploads
from portal.domain.lockout.counters import counting
from portal.extensions import db

PICTURES = RateLimitItemPerHour(30, namespace="pictures of an account")
IMPORTS = RateLimitItemPerHour(120, namespace="imports of an account")


def count(limit: RateLimitItemPerHour, account: UUID, *, now: datetime) -> None:
    """Count an upload before processing it. Commits; raises `TooManyUploads`."""
    is_allowed = counting(now).hit(limit, account.hex)
    db.session.commit()
    if not is_allowed:
        raise TooManyUploads
