"""Statistics for the dashboard: invitations by status, by day, and expiring soon."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from portal.extensions import db
from portal.models import Invitation, Redemption, Status


def counts(*, now: datetime) -> dict[Status, int]:
    """How many invitations have each status; every status is included."""
    status = Invitation.status_at(now)
    found = db.session.execute(sa.select(status, sa.func.count()).group_by(status))
    return dict.fromkeys(Status, 0) | {Status(name): count for name, count in found}


@dataclass(frozen=True)
class Day:
    """The statistics of one UTC day."""

    day: date
    issued: int
    redeemed: int


def by_day(days: int, *, now: datetime) -> list[Day]:
    """The last `days` UTC days including today, oldest first, without gaps."""
    first = now.date() - timedelta(days=days - 1)
    since = datetime.combine(first, datetime.min.time(), UTC)
    issued = _daily(Invitation.created_at, since)
    redeemed = _daily(Redemption.at, since)
    span = [first + timedelta(days=offset) for offset in range(days)]
    return [Day(day, issued.get(day, 0), redeemed.get(day, 0)) for day in span]


def count_expiring(within: timedelta, *, now: datetime) -> int:
    """How many open invitations expire within that time."""
    return (
        db.session.scalar(
            sa.select(sa.func.count())
            .select_from(Invitation)
            .where(
                Invitation.expires_at > now,
                Invitation.expires_at <= now + within,
                Invitation.status_at(now) == Status.ACTIVE,
            )
        )
        or 0
    )


def _daily(moment: InstrumentedAttribute[datetime], since: datetime) -> dict[date, int]:
    day = sa.func.date(_in_utc(moment))
    found = db.session.execute(sa.select(day, sa.func.count()).where(moment >= since).group_by(day))
    return {date.fromisoformat(str(day)): count for day, count in found}


def _in_utc(moment: InstrumentedAttribute[datetime]) -> sa.ColumnElement[datetime]:
    """In UTC, since Postgres would take the day in its own zone; SQLite has none."""
    if db.engine.dialect.name != "postgresql":
        return moment.expression
    return sa.func.timezone(sa.literal_column("'UTC'"), moment)
