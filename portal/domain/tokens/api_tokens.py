"""What programs of staff show: the signed token of a session, or an API token of their own."""

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
    """Who a token speaks for and what it may do; `session`, or the id `token`, is what it is."""

    account: Account
    scopes: frozenset[Scope]
    session: Living | None = None
    token: UUID | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it may do what `scope` stands for."""
        return any(scope in held.includes for held in self.scopes)


def bearer(token: str, *, address: str, now: datetime) -> Bearer:
    """Who shows `token` at `address`: an API token or an admin's JWT. Raises `SignInRequired`."""
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
    """Who shows an API token at `address`. It may do no more than its account may at that moment.

    Raises `UnknownToken` for one that nobody was given, and `SignInRequired` for one that is no
    API token at all, has ended, whose account may not have any, or has to set up a second factor
    first.
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
    """A new API token of one's own and, this once, the token itself; the mailbox hears of it.

    Raises `NotAllowed`.
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
    """End one of one's own API tokens at once. Raises `NotFound`."""
    row = db.session.get(ApiToken, id)
    if row is None or row.account_id != by.id:
        raise NotFound
    row.revoked_at = row.revoked_at or now
    audit.record("api_token.revoked", now=now, origin=origin, actor=by.id, subject=row.id)
    db.session.commit()


def revoke_all_of(account: Account, *, by: Account | None, origin: Origin, now: datetime) -> None:
    """End every API token of an account at once. Takes part in the caller's transaction."""
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
    """How many API tokens of an account are good."""
    living = sa.select(sa.func.count()).select_from(ApiToken).where(*_living(account, now))
    return db.session.scalars(living).one()


def api_tokens_of(account: Account) -> list[ApiToken]:
    """All API tokens an account ever made, newest first."""
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
