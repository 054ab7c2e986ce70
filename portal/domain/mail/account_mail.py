"""Contents of mails about accounts and addresses: verification codes and notices."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from portal.config import settings
from portal.domain.accounts import verification
from portal.domain.errors import NotFound
from portal.extensions import db
from portal.models import Account, ApiToken, Mail, Session, Verification

NEW_SIGN_IN = "new_sign_in"
NEW_API_TOKEN = "api_token_created"  # noqa: S105 - a kind of mail
ABOUT_ACCOUNTS = (
    "account_exists",
    "email_changed",
    "password_changed",
    "second_factor_app_added",
    "second_factor_app_removed",
    "second_factor_passkey_added",
    "second_factor_passkey_removed",
    "second_factor_codes_renewed",
    "second_factor_all_removed",
    "deactivated",
)


@dataclass(frozen=True)
class Notice:
    """The contents of a mail: a code and a link's token, or the news.

    The link leads to the page of the `dialect` that requested it.
    """

    language: str
    about: UUID  # the account, or the invitation of an address without one
    code: str = ""
    token: str = ""
    expires_at: datetime | None = None
    session: Session | None = None
    api_token: ApiToken | None = None
    dialect: str | None = None

    @property
    def has_secrets(self) -> bool:
        """Whether it contains a code or link meant only for its recipient."""
        return bool(self.code or self.token)

    def obstacle(self, _kind: str, now: datetime) -> str | None:
        """Why this must not be sent any more, as a sentence; None if it may be."""
        if self.expires_at is not None and self.expires_at <= now:
            return "The code was too old before this was sent."
        return None


def notices(mails: Sequence[Mail]) -> dict[UUID, Notice]:
    """The contents of mails about accounts, by mail id; without mails whose subject is gone."""
    found: dict[UUID, Notice] = {}
    for mail in mails:
        with suppress(NotFound):
            if notice := _notice(mail):
                found[mail.id] = notice
    return found


def _notice(mail: Mail) -> Notice | None:
    if mail.is_verification:
        row, code, token = verification.contents(mail.about_id)
        return Notice(
            _language_of(row),
            row.account_id or row.invitation.id,
            code=code,
            token=token,
            expires_at=row.expires_at,
            dialect=row.dialect,
        )
    if mail.kind == NEW_SIGN_IN:
        session = db.session.scalars(
            sa.select(Session)
            .where(Session.id == mail.about_id)
            .options(joinedload(Session.account))
        ).first()
        holder = session.account if session else None
        return Notice(holder.language, holder.id, session=session) if holder else None
    if mail.kind == NEW_API_TOKEN:
        api_token = db.session.scalars(
            sa.select(ApiToken)
            .where(ApiToken.id == mail.about_id)
            .options(joinedload(ApiToken.account))
        ).first()
        holder = api_token.account if api_token else None
        return Notice(holder.language, holder.id, api_token=api_token) if holder else None
    if mail.kind in ABOUT_ACCOUNTS:
        account = db.session.get(Account, mail.about_id, populate_existing=True)
        return Notice(account.language, account.id) if account else None
    return None


def _language_of(row: Verification) -> str:
    """The account's language; for an address without one, its invitation's."""
    if row.account_id is None:
        return row.invitation.mail_language or settings.locale
    return row.account.language
