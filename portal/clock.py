"""The one clock: read by the fronts, passed to the domain."""

from datetime import UTC, datetime


def utcnow() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)
