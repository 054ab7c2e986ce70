"""The numbers of the dashboard."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from portal.domain.invitations import stats
from portal.domain.invitations.stats import Day
from portal.extensions import db
from portal.models import Status
from tests import factories
from tests.conftest import run_sql
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def test_every_state_is_counted_the_empty_ones_too() -> None:
    assert stats.counts(now=NOW) == dict.fromkeys(Status, 0)

    factories.one_of_each_status()

    assert stats.counts(now=NOW) == dict.fromkeys(Status, 1)
    assert stats.counts(now=NOW + 30 * DAY) == dict.fromkeys(Status, 0) | {
        Status.REVOKED: 1,
        Status.EXPIRED: 4,
    }


@pytest.mark.parametrize("zone", ["UTC", "Asia/Jakarta", "America/Los_Angeles"])
def test_days_are_days_of_utc_wherever_the_database_is(zone: str) -> None:
    olivia = factories.owner()
    midnight = datetime(2026, 11, 21, tzinfo=UTC)
    yesterday = factories.invitation(olivia, now=midnight - TICK)
    for moment in (midnight, midnight + DAY - TICK):
        factories.invitation(olivia, now=moment.astimezone(ZoneInfo(zone)))
    factories.redeem(code_of(yesterday), origin=device(), now=NOW)
    if db.engine.dialect.name == "postgresql":
        run_sql(f"SET TIME ZONE '{zone}'")

    assert stats.by_day(3, now=NOW) == [
        Day(date(2026, 11, 19), issued=0, redeemed=0),
        Day(date(2026, 11, 20), issued=1, redeemed=0),
        Day(date(2026, 11, 21), issued=2, redeemed=1),
    ]
    assert stats.by_day(1, now=NOW) == [Day(date(2026, 11, 21), issued=2, redeemed=1)]


def test_only_open_invitations_are_counted_as_expiring() -> None:
    olivia = factories.owner()
    factories.invitation(olivia, expires_at=NOW + DAY)
    factories.invitation(olivia, expires_at=NOW + DAY + TICK)
    factories.invitation(olivia, expires_at=None)
    factories.invitation(olivia, starts_at=NOW + DAY / 2, expires_at=NOW + DAY)
    factories.invitation(olivia, now=NOW - DAY, expires_at=NOW)
    spent = factories.invitation(olivia, expires_at=NOW + DAY)
    factories.redeem(code_of(spent), origin=device(), now=NOW)

    assert stats.count_expiring(DAY, now=NOW) == 1
    assert stats.count_expiring(2 * DAY, now=NOW) == 2
