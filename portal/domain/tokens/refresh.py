"""Refresh tokens: each is valid once, and the response contains its successor.

A second use means that somebody else has the token too, so it ends the session (RFC 9700, 4.14).
"""

import secrets
from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa

from portal.domain.accounts import accounts, sessions
from portal.domain.accounts.sessions import Living
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import SignInRequired
from portal.domain.tokens import jwt
from portal.domain.tokens.jwt import SADHELX_REFRESH
from portal.extensions import db
from portal.models import RefreshToken, Session


def issue(session: Session, *, now: datetime) -> str:
    """The first refresh token of a session."""
    secret = begin(session, now=now)
    return jwt.sadhelx_refresh(session, secret, now=now)


def begin(session: Session, *, now: datetime) -> str:
    """The first refresh secret of a session, valid once. Commits."""
    secret = _add(session, now)
    db.session.commit()
    return secret


def renew(token: str, identity: str, *, origin: Origin, now: datetime) -> tuple[Living, str]:
    """The session of a refresh token, and its successor.

    Raises `SignInRequired`, also for a token of another account than `identity`; a token used
    before ends its session.
    """
    session = jwt.session_of(token, SADHELX_REFRESH, now=now)
    account = accounts.find(identity)
    if account is None or account.id != session.account_id:
        raise SignInRequired
    used = jwt.claims_of(token, SADHELX_REFRESH, now=now)["CustomKey"]
    secret = redeem(session, str(used), origin=origin, now=now)
    return session, jwt.sadhelx_refresh(session, secret, now=now)


def redeem(session: Living, secret: str, *, origin: Origin, now: datetime) -> str:
    """Use up a secret of this session; return its successor.

    Raises `SignInRequired` for one that is unknown or expired, and for one used before, which ends
    the session.
    """
    used = db.session.execute(
        sa.update(RefreshToken)
        .where(
            RefreshToken.digest == _digest(secret),
            RefreshToken.session_id == session.id,
            RefreshToken.used_at.is_(None),
            RefreshToken.expires_at > now,
        )
        .values(used_at=now)
        .returning(RefreshToken.id)
    ).first()
    if used is None:
        _end_if_replayed(session, secret, origin, now)
        raise SignInRequired
    following = _add(session, now)
    db.session.commit()
    return following


def _end_if_replayed(session: Living, secret: str, origin: Origin, now: datetime) -> None:
    replayed = sa.exists().where(
        RefreshToken.digest == _digest(secret),
        RefreshToken.session_id == session.id,
        RefreshToken.used_at.is_not(None),
    )
    if db.session.scalar(sa.select(replayed)):
        sessions.revoke(session, now=now)
        audit.record("refresh_token.replayed", now=now, origin=origin, actor=session.account_id)
        db.session.commit()


def _add(session: Session | Living, now: datetime) -> str:
    secret = secrets.token_hex(32)
    db.session.add(
        RefreshToken(
            session_id=session.id,
            digest=_digest(secret),
            created_at=now,
            expires_at=session.expires_at,
        )
    )
    return secret


def _digest(secret: str) -> bytes:
    """256 random bits need no slow hash."""
    return sha256(secret.encode()).digest()
