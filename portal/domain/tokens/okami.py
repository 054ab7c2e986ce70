"""Signing in by three steps: a client names itself, a password is shown, the client is let in.

What is handed out between the steps is signed and typed (RFC 8725, 3.11): none stands for another,
nor for a token that opens anything. The first says only who the client is; the second is good once.
"""

from datetime import datetime, timedelta

from portal.domain.accounts import accounts, verification
from portal.domain.client import Origin
from portal.domain.errors import AccountDeactivated, SignInRequired
from portal.domain.tokens import jwt, signing
from portal.domain.tokens.jwt import OKAMI, OKAMI_ISSUER
from portal.extensions import db
from portal.models import Purpose, Session, Surface

LASTS = timedelta(minutes=10)
FIRST, SECOND = "okami-step1+jwt", "okami-step2+jwt"


def name_client(client_id: str, *, now: datetime) -> str:
    """The secret of the first step, for a client that calls itself so."""
    return _sign({"cid": client_id}, FIRST, now)


def show_password(secret: str, email: str, password: str, *, origin: Origin, now: datetime) -> str:
    """The secret of the second step, for that of the first and a password.

    Raises `SignInRequired`, and what `accounts.authenticate` raises.
    """
    claims = signing.verified(secret, OKAMI.algorithm, now=now, kind=FIRST, issuer=OKAMI_ISSUER)
    account = accounts.authenticate(email, password, origin=origin, now=now, email_proven=True)
    once = verification.hand_out_token(account, Purpose.SIGN_IN, now=now, lasts=LASTS)
    db.session.commit()
    return _sign({"cid": claims["cid"], "jti": once}, SECOND, now)


def let_in(secret: str, *, address: str, program: str, now: datetime) -> tuple[Session, str]:
    """A session for the secret of the second step, and the client it is in.

    Raises `SignInRequired`, `VerificationRefused` for one that was used, `AccountDeactivated`.
    """
    claims = signing.verified(secret, OKAMI.algorithm, now=now, kind=SECOND, issuer=OKAMI_ISSUER)
    if not {"cid", "jti"} <= claims.keys():
        raise SignInRequired
    account = verification.confirm_link(claims["jti"], Purpose.SIGN_IN, now=now).account
    if account.deactivated_at is not None:
        raise AccountDeactivated
    origin = Origin(jwt.okami_device(claims["cid"]), address, program)
    session = accounts.start_session(
        account,
        origin=origin,
        now=now,
        surface=Surface.API,
        dialect=OKAMI.dialect,
        lasts=jwt.OKAMI_LASTS,
    )
    return session, claims["cid"]


def _sign(claims: dict[str, str], kind: str, now: datetime) -> str:
    ends = int((now + LASTS).timestamp())
    about = {"exp": ends, "iat": int(now.timestamp()), "iss": OKAMI_ISSUER}
    return signing.sign(claims | about, OKAMI.algorithm, now=now, kind=kind)
