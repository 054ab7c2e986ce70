"""The doctor's page, for the owner."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.config import settings
from portal.domain.operations import worker_tasks
from portal.domain.operations.worker_tasks import Task
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.models import Role, TaskKind
from portal.ops import doctor
from portal.ops.doctor import Finding, Route

blueprint = Blueprint("doctor", __name__, url_prefix="/admin/doctor")


@blueprint.get("")
@staff_required(Role.OWNER)
def index() -> str:
    """Check every part of the portal."""
    return render_template("doctor/index.html", findings=_findings(), tasks=worker_tasks.troubled())


@blueprint.post("/test-mail")
@staff_required(Role.OWNER)
def send_test_mail() -> ResponseReturnValue:
    """Send a test mail to the owner, and show the result with the other checks."""
    sent = doctor.send_test_mail(current_account().email)
    return render_template(
        "doctor/index.html", findings=[sent, *_findings()], tasks=worker_tasks.troubled()
    )


@blueprint.post("/<any(reminders,chain,retention):kind>/resumption")
@staff_required(Role.OWNER)
def resume_task(kind: str) -> ResponseReturnValue:
    """Let the worker resume a task that was set aside; batches have `batches.resume`."""
    task = Task(TaskKind(kind))
    worker_tasks.resume(task, by=current_account(), origin=origin(), now=utcnow())
    flash("The worker will try it again.")
    return redirect(url_for("doctor.index"), 303)


def _findings() -> list[Finding]:
    return [doctor.client_address(_route()), *doctor.examine(now=utcnow())]


def _route() -> Route:
    # ProxyFix keeps the values that the server itself saw.
    original = request.environ.get("werkzeug.proxy_fix.orig", {})
    peer = original.get("REMOTE_ADDR") or request.environ.get("REMOTE_ADDR", "")
    said = request.headers.get("X-Forwarded-For", "")
    forwarded = tuple(part.strip() for part in said.split(",") if part.strip())
    return Route(peer, forwarded, request.remote_addr or "", settings.trusted_proxies)
