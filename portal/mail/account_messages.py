"""Mails about accounts and addresses, text and HTML, with the phrases of `languages`."""

from dataclasses import replace
from urllib.parse import urlsplit

from flask import render_template

from portal.config import settings
from portal.domain.invitations import codes
from portal.domain.mail.account_mail import Notice
from portal.http.filters import browser
from portal.mail.invitation_messages import Letter
from portal.mail.languages import LANGUAGES, WARNINGS, Language
from portal.models import Mail

# Suppress automatic replies (RFC 3834).
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
# People who did not expect one of these can safely ignore it.
HARMLESS = {"activation", "new_email", "account_exists", "recipient"}
# The portal page that the button links to; {token} is the link's.
PATHS = {
    "activation": "/activation/{token}",
    "new_email": "/account/email/{token}",
    "account_exists": "/login",
    "second_factor_all_removed": "/account/security",
    **dict.fromkeys(WARNINGS, "/reset"),
}
# Overrides where a dialect's document names its own page.
PATHS_OF_DIALECTS = {("activation", "okami"): "/okami/auth/active/{token}"}


def render(mail: Mail, notice: Notice) -> Letter:
    """Render the message of an outbox row as it would be sent now.

    It holds nothing that its reader did not write or confirm: people who sign strangers up must not
    be able to write to them in our name.
    """
    language = LANGUAGES[notice.language]
    values = _values(notice, language)
    path = PATHS_OF_DIALECTS.get((mail.kind, notice.dialect or ""), PATHS.get(mail.kind, ""))
    shown: dict[str, object] = {
        "language": language,
        "message": _message(mail.kind, language).format(**values),
        "code": notice.code,
        "link": settings.base_url + path.format(token=notice.token) if path else "",
        "button": language.buttons.get(mail.kind, ""),
        "closing": language.unexpected if mail.kind in HARMLESS else "",
        "values": values,
    }
    letter = Letter(
        subject=language.subjects[mail.kind].format(**values),
        recipients=[mail.recipient],
        body=render_template("mail/notice.txt", **shown),
        html=render_template("mail/notice.html", **shown),
    )
    letter.msgId = f"<{mail.id}@{urlsplit(settings.base_url).hostname}>"
    letter.extra_headers = HEADERS
    return letter


def masked(mail: Mail, notice: Notice) -> Letter:
    """The message as staff see it, with the code and the link's token masked."""
    code = codes.MASKED if notice.code else ""
    return render(mail, replace(notice, code=code, token=codes.MASKED))


def _message(kind: str, language: Language) -> str:
    words = language.messages[kind]
    return f"{words}\n\n{language.if_not_you}" if kind in WARNINGS else words


def _values(notice: Notice, language: Language) -> dict[str, str]:
    session, api_token = notice.session, notice.api_token
    made = session or api_token
    return {
        "site": settings.site_name,
        "client": browser(session.client) if session else "",
        "address": (session.address if session else None) or "?",
        "moment": language.moment(made.created_at) if made else "",
        "hint": api_token.hint if api_token else "",
        "scope": api_token.scope if api_token else "",
    }
