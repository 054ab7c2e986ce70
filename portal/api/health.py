"""Health checks for load balancers, and metrics for Prometheus."""

from datetime import timedelta
from hmac import compare_digest
from ipaddress import ip_address

from flask import Blueprint, Response, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from portal.clock import utcnow
from portal.config import settings
from portal.db import schema
from portal.domain.errors import NotAllowed
from portal.domain.mail import outbox
from portal.extensions import db
from portal.http import metrics
from portal.http.guards import public
from portal.http.rate_limit import limiter

blueprint = Blueprint("health", __name__)

STUCK_AFTER = timedelta(minutes=15)


@blueprint.get("/healthz")
@limiter.exempt
@public
def alive() -> Response:
    """The process answers."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
@limiter.exempt
@public
def ready() -> Response:
    """The database answers, its tables are the newest, and mail moves."""
    try:
        checks = {
            "database": True,
            "migrations": schema.is_newest(),
            "outbox": not _is_outbox_stuck(),
        }
    except SQLAlchemyError:
        db.session.rollback()
        checks = {"database": False}
    is_ready = all(checks.values())
    response = jsonify({"status": "ok" if is_ready else "error", "checks": checks})
    response.status_code = 200 if is_ready else 503
    return response


@blueprint.get("/metrics")
@limiter.exempt
@public
def numbers() -> Response:
    """The numbers, for whoever holds `METRICS_TOKEN`; without one, for this machine only."""
    if not _may_scrape():
        raise NotAllowed
    return Response(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _may_scrape() -> bool:
    token = settings.metrics_token.get_secret_value()
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return compare_digest(given.encode(), token.encode())
    # A proxy on this machine forwards requests of others, and adds these headers.
    is_forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return not is_forwarded and ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104


def _is_outbox_stuck() -> bool:
    """Whether a sendable mail is long overdue, so that no worker seems to run."""
    if not settings.mail_url.get_secret_value():
        return False
    return outbox.is_overdue(STUCK_AFTER, now=utcnow())
