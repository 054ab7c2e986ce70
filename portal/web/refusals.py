"""Unsubscribe: recipients can stop our mail without signing in."""

from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.config import settings
from portal.domain.mail import unsubscribe
from portal.extensions import csrf
from portal.http.guards import public
from portal.mail.languages import LANGUAGES
from portal.models import Invitation

blueprint = Blueprint("refusals", __name__, url_prefix="/no-more-mail")


@blueprint.get("/<token>")
@public
def question(token: str) -> str:
    """Show the button. GET changes nothing, since mail filters follow every link."""
    return render_template("refusals/question.html", **_shown(unsubscribe.invitation_of(token)))


@blueprint.post("/<token>")
@csrf.exempt
@public
def refuse(token: str) -> ResponseReturnValue:
    """Unsubscribe. Mail clients send this POST by themselves (RFC 8058): no cookie, no redirect.

    The signed link takes the place of the CSRF token.
    """
    invitation = unsubscribe.invitation_of(token)
    unsubscribe.refuse(invitation.recipient or "", now=utcnow())
    return render_template("refusals/refused.html", **_shown(invitation))


def _shown(invitation: Invitation) -> dict[str, Any]:
    language = LANGUAGES[invitation.mail_language or settings.locale]
    return {"language": language, "address": invitation.recipient}
