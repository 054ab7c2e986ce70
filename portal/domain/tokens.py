"""What programs of staff show: the signed token of a session, or an API token of their own."""

import re
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import joinedload

from portal.domain import audit, signed_tokens
from portal.domain.errors import NotAllowed, NotFound, SignInRequired, UnknownToken
from portal.domain.origin import Origin
from portal.domain.sessions import Living
from portal.extensions import db
from portal.models import Account, ApiToken, Role, Scope

API_TOKEN_PREFIX = "inv_"  # noqa: S105 - what tokens begin with, so that leaks can be searched for
API_TOKEN = re.compile(re.escape(API_TOKEN_PREFIX) + r"[A-Za-z0-9_-]{43}")
USED_EVERY = timedelta(minutes=1)


class Bearer(NamedTuple):
    """Who a token speaks for and what it may do; `session`, or the id `token`, is what it is."""

    account: Account
    scope: Scope
    session: Living | None = None
    token: UUID | None = None


def bearer(token: str, *, now: datetime) -> Bearer:
    """Who presents `token`: an API token or an admin's JWT. Raises `SignInRequired`."""
    if token.startswith(API_TOKEN_PREFIX):
        try:
            return api_token(token, now=now)
        except UnknownToken as error:
            raise SignInRequired from error
    session = signed_tokens.session_of(token, signed_tokens.ADMIN, now=now)
    if not session.account.may(Role.ADMIN):
        raise SignInRequired
    return Bearer(session.account, Scope.MANAGE, session)


def api_token(token: str, *, now: datetime) -> Bearer:
    """Who presents an API token.

    Raises `UnknownToken` for one that nobody was given, and `SignInRequired` for one that is no
    API token at all, has ended, or whose account may not have any.
    """
    if not API_TOKEN.fullmatch(token):
        raise SignInRequired
    row = _api_token(token)
    if row is None:
        raise UnknownToken
    if not row.lives(now) or not row.account.may(Role.ADMIN):
        raise SignInRequired
    if row.last_used_at is None or now - row.last_used_at >= USED_EVERY:
        row.last_used_at = now
        db.session.commit()
    return Bearer(row.account, row.scope, token=row.id)


def create_api_token(
    *,
    by: Account,
    name: str,
    scope: Scope,
    expires_at: datetime | None,
    origin: Origin,
    now: datetime,
) -> tuple[ApiToken, str]:
    """A new API token of one's own and, this once, the token itself. Raises `NotAllowed`."""
    if not by.may(Role.ADMIN):
        raise NotAllowed
    token = API_TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        account_id=by.id,
        name=name,
        scope=scope,
        digest=_digest(token),
        hint=token[-4:],
        created_at=now,
        expires_at=expires_at,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("api_token.created", now=now, origin=origin, actor=by.id, subject=row.id)
    db.session.commit()
    return row, token


def revoke_api_token(id: UUID, *, by: Account, origin: Origin, now: datetime) -> None:
    """End one of one's own API tokens at once. Raises `NotFound`."""
    row = db.session.get(ApiToken, id)
    if row is None or row.account_id != by.id:
        raise NotFound
    row.revoked_at = row.revoked_at or now
    audit.record("api_token.revoked", now=now, origin=origin, actor=by.id, subject=row.id)
    db.session.commit()


def api_tokens_of(account: Account) -> list[ApiToken]:
    """All API tokens an account ever made, newest first."""
    return list(
        db.session.scalars(
            sa.select(ApiToken)
            .where(ApiToken.account_id == account.id)
            .order_by(ApiToken.id.desc())
        )
    )


def _api_token(token: str) -> ApiToken | None:
    return db.session.scalars(
        sa.select(ApiToken)
        .where(ApiToken.digest == _digest(token))
        .options(joinedload(ApiToken.account))
    ).first()


def _digest(token: str) -> bytes:
    """256 random bits need no slow hash."""
    return sha256(token.encode()).digest()
