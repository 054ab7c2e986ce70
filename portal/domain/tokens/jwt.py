"""Signed tokens (JWT, RFC 7519) of every dialect: their claims, and the session behind each.

A token is only its session's name in an envelope: whether it is good is asked of the session at
every request. Kinds that share an algorithm are told apart by issuer, by what their claims say,
and by the dialect of the session: none opens what another is for.
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
SADHELX_ISSUER = "sadlex.auth.service"  # as the document's own tokens spell it


@dataclass(frozen=True)
class Kind:
    """One kind of token. Without an `issuer` it is the portal's own (`JWT_ISSUER`).

    `has` are claims every token of this kind makes, `says` those it makes to the letter.
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
    """The token of the kursus dialect, which its clients verify by the JWK set.

    They may take its e-mail for a name only if `email_verified` (OpenID Connect Core, 5.1).
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
    """The token of the okami dialect: it names its session by account, client and moment."""
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
    """What a token of this kind says, under a signature of ours; raises `SignInRequired`."""
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
    """The living session a token of this kind names, with its account; raises `SignInRequired`."""
    claims = claims_of(token, kind, now=now)
    named = _okami_session(claims) if kind is OKAMI else _id(claims["jti"])
    session = sessions.find_for_program(named, now=now - LEEWAY) if named else None
    if session is None or session.dialect != kind.dialect:
        raise SignInRequired
    return session


def _okami_session(claims: Mapping[str, Any]) -> UUID | None:
    """The session opened for that account, in that client, in that second."""
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
    """What a client of the okami dialect is called as a device."""
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
