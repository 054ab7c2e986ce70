"""What the doctor says, for the owner."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from portal import doctor
from portal.clock import utcnow
from portal.config import settings
from portal.doctor import Finding, Route
from portal.guards import current_account, staff_required
from portal.models import Role

blueprint = Blueprint("doctor", __name__, url_prefix="/admin/doctor")


@blueprint.get("")
@staff_required(Role.OWNER)
def index() -> str:
    """Every part of the portal, and how it is."""
    return render_template("doctor/index.html", findings=_findings())


@blueprint.post("/test-mail")
@staff_required(Role.OWNER)
def send_test_mail() -> ResponseReturnValue:
    """Send a message to the owner, and show beside the rest how that went."""
    sent = doctor.send_test_mail(current_account().email)
    return render_template("doctor/index.html", findings=[sent, *_findings()])


def _findings() -> list[Finding]:
    return [doctor.client_address(_route()), *doctor.examine(now=utcnow())]


def _route() -> Route:
    # ProxyFix keeps what the server itself saw.
    original = request.environ.get("werkzeug.proxy_fix.orig", {})
    peer = original.get("REMOTE_ADDR") or request.environ.get("REMOTE_ADDR", "")
    said = request.headers.get("X-Forwarded-For", "")
    forwarded = tuple(part.strip() for part in said.split(",") if part.strip())
    return Route(peer, forwarded, request.remote_addr or "", settings.trusted_proxies)
