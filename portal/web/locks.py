"""The unlock desk, for staff who issue invitations."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.lockout import unlock
from portal.http.device import origin
from portal.http.guards import current_account, staff_required
from portal.models import Role

blueprint = Blueprint("locks", __name__, url_prefix="/admin/locks")


@blueprint.get("")
@staff_required(Role.ADMIN)
def index() -> str:
    """List current lockouts."""
    by, now = current_account(), utcnow()
    return render_template(
        "locks/index.html",
        devices=unlock.devices(by=by, now=now),
        addresses=unlock.addresses(by=by, now=now),
    )


@blueprint.post("/devices/release")
@staff_required(Role.ADMIN)
def release_device() -> ResponseReturnValue:
    """Unlock a device."""
    device = request.form.get("device", "")
    unlock.release_device(device, by=current_account(), origin=origin(), now=utcnow())
    flash("Unlocked. That device can try again at once.")
    return redirect(url_for("locks.index"), 303)


@blueprint.post("/addresses/release")
@staff_required(Role.ADMIN)
def release_address() -> ResponseReturnValue:
    """Unlock the devices of an address."""
    bucket = request.form.get("bucket", "")
    unlock.release_address(bucket, by=current_account(), origin=origin(), now=utcnow())
    flash(f"Unlocked. Whoever comes from {bucket} can try again at once.")
    return redirect(url_for("locks.index"), 303)
