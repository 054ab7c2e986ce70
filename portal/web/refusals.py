"""The way out: whoever got a mail of ours can ask for no more of them, without signing in."""

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
    """A button. Looking refuses nothing: mail filters follow every link."""
    return render_template("refusals/question.html", **_shown(unsubscribe.invitation_of(token)))


@blueprint.post("/<token>")
@csrf.exempt
@public
def refuse(token: str) -> ResponseReturnValue:
    """Write no more. Mail programs send this by themselves (RFC 8058): no cookie, no redirect.

    The signed link stands for the CSRF token.
    """
    invitation = unsubscribe.invitation_of(token)
    unsubscribe.refuse(invitation.recipient or "", now=utcnow())
    return render_template("refusals/refused.html", **_shown(invitation))


def _shown(invitation: Invitation) -> dict[str, Any]:
    language = LANGUAGES[invitation.mail_language or settings.locale]
    return {"language": language, "address": invitation.recipient}
