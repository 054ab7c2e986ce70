"""Bearer tokens of staff's programs: API tokens, and the JWT of a session."""

import re
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import contains_eager

from portal.domain.accounts import two_factor
from portal.domain.accounts.sessions import Living
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import NotAllowed, NotFound, SignInRequired, UnknownToken
from portal.domain.mail import outbox
from portal.domain.tokens import jwt
from portal.extensions import db
from portal.models import Account, ApiToken, Role, Scope

API_TOKEN_PREFIX = "inv_"  # noqa: S105 - what tokens begin with, so that leaks can be searched for
API_TOKEN = re.compile(re.escape(API_TOKEN_PREFIX) + r"[A-Za-z0-9_-]{43}")
USED_EVERY = timedelta(minutes=1)


class Bearer(NamedTuple):
    """The account a token acts for, and its scopes; identified by `session` or the id `token`."""

    account: Account
    scopes: frozenset[Scope]
    session: Living | None = None
    token: UUID | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it has this scope."""
        return any(scope in held.includes for held in self.scopes)


def bearer(token: str, *, address: str, now: datetime) -> Bearer:
    """The bearer of an API token or an admin's JWT at `address`. Raises `SignInRequired`."""
    if token.startswith(API_TOKEN_PREFIX):
        try:
            return api_token(token, address=address, now=now)
        except UnknownToken as error:
            raise SignInRequired from error
    session = jwt.session_of(token, jwt.ADMIN, now=now)
    if not session.account.may(Role.ADMIN):
        raise SignInRequired
    return Bearer(session.account, frozenset({Scope.MANAGE}), session)


def api_token(token: str, *, address: str, now: datetime) -> Bearer:
    """The bearer of an API token at `address`, with no more rights than its account has now.

    Raises `UnknownToken` for one never issued, and `SignInRequired` for one that is no API token,
    is revoked or expired, or whose account may not have any or still has to set up 2FA.
    """
    if not API_TOKEN.fullmatch(token):
        raise SignInRequired
    found = db.session.execute(
        sa.select(ApiToken, two_factor.DUE)
        .join(ApiToken.account)
        .where(ApiToken.digest == _digest(token))
        .options(contains_eager(ApiToken.account))
    ).first()
    if found is None:
        raise UnknownToken
    row, is_due = found
    if is_due or not row.lives(now) or not row.account.may(Role.ADMIN):
        raise SignInRequired
    if row.last_used_at is None or now - row.last_used_at >= USED_EVERY:
        row.last_used_at, row.last_address = now, address
        db.session.commit()
    return Bearer(row.account, row.scopes, token=row.id)


def create_api_token(
    *,
    by: Account,
    name: str,
    scope: Scope,
    expires_at: datetime | None,
    origin: Origin,
    now: datetime,
) -> tuple[ApiToken, str]:
    """Create an API token for oneself; return it with the secret, which is shown only once.

    The account is notified by mail. Raises `NotAllowed`.
    """
    if not by.may(Role.ADMIN):
        raise NotAllowed
    token = API_TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        account_id=by.id,
        name=name,
        scopes=frozenset({scope}),
        digest=_digest(token),
        hint=token[-4:],
        created_at=now,
        expires_at=expires_at,
    )
    db.session.add(row)
    db.session.flush()
    outbox.queue("api_token_created", to=by.email, about=row.id, now=now)
    audit.record(
        "api_token.created", now=now, origin=origin, actor=by.id, subject=row.id, scope=scope
    )
    db.session.commit()
    return row, token


def revoke_api_token(id: UUID, *, by: Account, origin: Origin, now: datetime) -> None:
    """Revoke one of one's own API tokens. Raises `NotFound`."""
    row = db.session.get(ApiToken, id)
    if row is None or row.account_id != by.id:
        raise NotFound
    row.revoked_at = row.revoked_at or now
    audit.record("api_token.revoked", now=now, origin=origin, actor=by.id, subject=row.id)
    db.session.commit()


def revoke_all_of(account: Account, *, by: Account | None, origin: Origin, now: datetime) -> None:
    """Revoke every API token of an account. Takes part in the caller's transaction."""
    ended = db.session.scalars(
        sa.update(ApiToken)
        .where(*_living(account, now))
        .values(revoked_at=now)
        .returning(ApiToken.id)
        .execution_options(synchronize_session=False)
    ).all()
    for token in ended:
        actor = by.id if by else None
        audit.record("api_token.revoked", now=now, origin=origin, actor=actor, subject=token)


def count_living_of(account: Account, *, now: datetime) -> int:
    """How many valid API tokens an account has."""
    living = sa.select(sa.func.count()).select_from(ApiToken).where(*_living(account, now))
    return db.session.scalars(living).one()


def api_tokens_of(account: Account) -> list[ApiToken]:
    """All API tokens an account ever created, newest first."""
    return list(
        db.session.scalars(
            sa.select(ApiToken)
            .where(ApiToken.account_id == account.id)
            .order_by(ApiToken.id.desc())
        )
    )


def _living(account: Account, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    lives = sa.or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now)
    return ApiToken.account_id == account.id, ApiToken.revoked_at.is_(None), lives


def _digest(token: str) -> bytes:
    """256 random bits need no slow hash."""
    return sha256(token.encode()).digest()
