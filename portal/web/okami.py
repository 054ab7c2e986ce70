"""The pages behind the links that the okami dialect mails: they act on a button, never on GET.

Virus scanners open every link of a mail.
"""

from contextlib import suppress

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.accounts import registration
from portal.domain.errors import NotFound, VerificationRefused
from portal.forms import Form
from portal.http.device import origin
from portal.http.guards import public

blueprint = Blueprint("okami_pages", __name__, url_prefix="/okami/auth/active")


@blueprint.get("/<token>")
@public
def show(token: str) -> str:
    """Show the button that activates the account."""
    return render_template("okami/activation.html", token=token, form=Form())


@blueprint.post("/<token>")
@public
def activate(token: str) -> ResponseReturnValue:
    """Activate the account this link was mailed to."""
    form = Form()
    try:
        registration.activate_by_link(token, origin=origin(), now=utcnow())
    except VerificationRefused:
        form.refusal = "This link is too old, or it was used before."
        return render_template("okami/activation.html", token=token, form=form), 422
    return render_template("okami/activated.html")


@blueprint.get("/resend/<token>")
@public
def offer(token: str) -> str:
    """Show the button that mails a new link."""
    return render_template("okami/resend.html", token=token, form=Form())


@blueprint.post("/resend/<token>")
@public
def resend(token: str) -> ResponseReturnValue:
    """Mail a new link to the recipient of this one; never reveals whether there is an account."""
    with suppress(NotFound):
        registration.resend_by_link(token, now=utcnow())
    return render_template("okami/resent.html")
