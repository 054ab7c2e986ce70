"""The three-step sign-in of the okami dialect: name the client, check the password, open a session.

The secrets between the steps are signed and typed (RFC 8725, 3.11), so none can stand in for
another or for an access token. The first only names the client; the second is valid once.
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
    """The secret of the first step, for a client with this self-chosen id."""
    return _sign({"cid": client_id}, FIRST, now)


def show_password(secret: str, email: str, password: str, *, origin: Origin, now: datetime) -> str:
    """The secret of the second step, for that of the first and a password.

    Raises `SignInRequired`, and as `accounts.authenticate` does.
    """
    claims = signing.verified(secret, OKAMI.algorithm, now=now, kind=FIRST, issuer=OKAMI_ISSUER)
    account = accounts.authenticate(email, password, origin=origin, now=now, email_proven=True)
    once = verification.hand_out_token(account, Purpose.SIGN_IN, now=now, lasts=LASTS)
    db.session.commit()
    return _sign({"cid": claims["cid"], "jti": once}, SECOND, now)


def let_in(secret: str, *, address: str, program: str, now: datetime) -> tuple[Session, str]:
    """A session for the secret of the second step, and its client's id.

    Raises `SignInRequired`, `VerificationRefused` for a used secret, `AccountDeactivated`.
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
