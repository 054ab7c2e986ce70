"""The dashboard."""

from datetime import timedelta

from flask import Blueprint, render_template

from portal.clock import utcnow
from portal.domain.invitations import requests, stats, timeline
from portal.domain.lockout import lockout
from portal.domain.mail import outbox
from portal.http.guards import staff_required
from portal.models import MailState, RequestState

blueprint = Blueprint("dashboard", __name__, url_prefix="/admin")

SOON = timedelta(hours=48)
DAYS = 14
EVENTS = 8


@blueprint.get("/")
@staff_required()
def index() -> str:
    """Show the dashboard."""
    return render_template("dashboard/index.html", **_overview())


@blueprint.get("/overview")
@staff_required()
def overview() -> str:
    """The part that refreshes itself."""
    return render_template("dashboard/_overview.html", **_overview())


def _overview() -> dict[str, object]:
    now = utcnow()
    return {
        "counts": stats.counts(now=now),
        "days": stats.by_day(DAYS, now=now),
        "expiring": stats.count_expiring(SOON, now=now),
        "locked": lockout.locked_devices(now=now),
        "asking": requests.counts()[RequestState.WAITING],
        "failed_mails": outbox.counts()[MailState.FAILED],
        "events": timeline.latest(EVENTS),
        "now": now,
    }
