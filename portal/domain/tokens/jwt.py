"""Signed tokens (JWT, RFC 7519) of every dialect: their claims, and the session behind each.

A token merely names its session, whose state is checked on every request. Kinds that share an
algorithm are told apart by issuer, by their claims and by the session's dialect, so none is
accepted in place of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portal.config import settings
from portal.domain.accounts import sessions
from portal.domain.accounts.sessions import Living
from portal.domain.client import Origin
from portal.domain.errors import SignInRequired
from portal.domain.tokens import signing
from portal.domain.tokens.signing import LEEWAY
from portal.extensions import db
from portal.models import Account, Session

ADMIN_LASTS = timedelta(minutes=60)
KURSUS_LASTS = timedelta(hours=24)
MOBILE_LASTS = timedelta(hours=24)
OKAMI_LASTS = timedelta(hours=8)
SADHELX_ACCESS_LASTS = timedelta(minutes=60)
SADHELX_LASTS = timedelta(days=30)
OKAMI_ISSUER = "server"
SADHELX_ISSUER = "sadlex.auth.service"  # as the specification's own tokens spell it


@dataclass(frozen=True)
class Kind:
    """A kind of token. Without an `issuer` it is the portal's own (`JWT_ISSUER`).

    `has` lists claims that every token of this kind must have, `says` those with a fixed value.
    """

    algorithm: str
    dialect: str | None
    issuer: str | None = None
    has_audience: bool = False
    has: tuple[str, ...] = ()
    says: Mapping[str, str] = field(default_factory=dict, hash=False)


ADMIN = Kind("HS256", None, has=("jti", "id"))
KURSUS = Kind("RS256", "kursus", has_audience=True, has=("jti", "sub"))
MOBILE = Kind("HS256", "mobile", has=("jti", "sub"))
OKAMI = Kind("HS512", "okami", issuer=OKAMI_ISSUER, has=("sub", "cid", "iat"))
SADHELX = Kind(
    "HS256", "sadhelx", issuer=SADHELX_ISSUER, has=("jti", "UserID"), says={"KeyType": "access"}
)
SADHELX_REFRESH = Kind(
    "HS256", "sadhelx", issuer=SADHELX_ISSUER, has=("jti", "CustomKey"), says={"KeyType": "refresh"}
)


def admin(session: Session, *, now: datetime) -> str:
    """The token of the invitations dialect."""
    account = _account(session)
    claims = {
        "exp": _seconds(session.expires_at),
        "iat": _seconds(now),
        "iss": settings.jwt_issuer,
        "jti": str(session.id),
        "id": str(account.id),
        "username": account.username,
        "email": account.email,
        "role": "admin",
    }
    return signing.sign(claims, ADMIN.algorithm, now=now)


def kursus(session: Session, *, now: datetime) -> str:
    """The token of the kursus dialect, which clients verify by the JWK set.

    They may rely on its e-mail only if `email_verified` is true (OpenID Connect Core, 5.1).
    """
    account = _account(session)
    claims = {
        "email": account.email,
        "exp": _seconds(session.expires_at),
        "iat": _seconds(now),
        "jti": str(session.id),
        "name": account.full_name,
        "sub": str(account.id),
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "email_verified": account.email_is_proven,
    }
    return signing.sign(claims, KURSUS.algorithm, now=now)


def mobile(session: Session, *, now: datetime) -> str:
    """The token of the mobile dialect."""
    claims = {
        "exp": _seconds(session.expires_at),
        "iat": _seconds(now),
        "iss": settings.jwt_issuer,
        "jti": str(session.id),
        "sub": str(_account(session).id),
    }
    return signing.sign(claims, MOBILE.algorithm, now=now)


def okami(session: Session, client_id: str, *, now: datetime) -> str:
    """The token of the okami dialect, which names its session by account, client and time."""
    claims = {
        "cid": client_id,
        "exp": _seconds(session.expires_at),
        "iat": _seconds(session.created_at),
        "iss": OKAMI_ISSUER,
        "sub": str(_account(session).serial),
    }
    return signing.sign(claims, OKAMI.algorithm, now=now)


def sadhelx(session: Session | Living, *, now: datetime) -> str:
    """The access token of the sadhelx dialect."""
    claims = {
        "UserID": _account(session).serial,
        **SADHELX.says,
        "exp": _seconds(min(session.expires_at, now + SADHELX_ACCESS_LASTS)),
        "iat": _seconds(now),
        "iss": SADHELX_ISSUER,
        "jti": str(session.id),
    }
    return signing.sign(claims, SADHELX.algorithm, now=now)


def sadhelx_refresh(session: Session | Living, secret: str, *, now: datetime) -> str:
    """The refresh token of the sadhelx dialect around a `secret` of `refresh`."""
    claims = {
        "UserID": _account(session).serial,
        "CustomKey": secret,
        **SADHELX_REFRESH.says,
        "exp": _seconds(session.expires_at),
        "iat": _seconds(now),
        "iss": SADHELX_ISSUER,
        "jti": str(session.id),
    }
    return signing.sign(claims, SADHELX_REFRESH.algorithm, now=now)


def claims_of(token: str, kind: Kind, *, now: datetime) -> Mapping[str, Any]:
    """The claims of a token of this kind, signed by us; raises `SignInRequired`."""
    claims = signing.verified(
        token,
        kind.algorithm,
        now=now,
        issuer=kind.issuer or settings.jwt_issuer,
        audience=settings.jwt_audience if kind.has_audience else None,
    )
    says_so = all(claims.get(name) == word for name, word in kind.says.items())
    if not says_so or any(name not in claims for name in kind.has):
        raise SignInRequired
    return claims


def session_of(token: str, kind: Kind, *, now: datetime) -> Living:
    """The active session of a token of this kind, with its account; raises `SignInRequired`."""
    claims = claims_of(token, kind, now=now)
    named = _okami_session(claims) if kind is OKAMI else _id(claims["jti"])
    session = sessions.find_for_program(named, now=now - LEEWAY) if named else None
    if session is None or session.dialect != kind.dialect:
        raise SignInRequired
    return session


def _okami_session(claims: Mapping[str, Any]) -> UUID | None:
    """The session opened for that account and client in that second."""
    opened = datetime.fromtimestamp(claims["iat"], UTC)
    return db.session.scalar(
        sa.select(Session.id)
        .join(Account, Session.account_id == Account.id)
        .where(
            Account.serial == int(claims["sub"]),
            Session.device == Origin(okami_device(claims["cid"]), "").device_digest,
            Session.created_at >= opened,
            Session.created_at < opened + timedelta(seconds=1),
        )
        .order_by(Session.created_at.desc())
    )


def okami_device(client_id: str) -> str:
    """The device id of an okami client."""
    return f"okami:{client_id.lower()}"


def _account(session: Session | Living) -> Account:
    account = session.account
    if account is None:
        raise SignInRequired
    return account


def _id(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
