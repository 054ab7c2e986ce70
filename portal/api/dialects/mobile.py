"""The dialect of the former mobile service, true to its document.

Apps present an API token that staff made in the portal, with the scope `sign-in`; an account is
signed in on one device at a time. The contract is `contracts/mobile-login.md`.
"""

from flask import Blueprint, Response, request

from portal.api.dialects import schemas
from portal.api.dialects.responses import Json, Voice, reply
from portal.clock import utcnow
from portal.domain import errors
from portal.domain.accounts import accounts
from portal.domain.client import Origin
from portal.domain.errors import NotAllowed
from portal.domain.tokens import jwt, mobile
from portal.http.guards import api_token_required, current_bearer, token_required, token_session
from portal.models import Scope

blueprint = Blueprint("mobile", __name__, url_prefix="/mobile")

APP = "mobile-application"
NOTHING_FOUND = ("Data tidak ditemukan !!!", 404)
INACTIVE = ("Akun Anda Tidak Aktif, Silahkan Hubungi Administrator !!!", 403)
TOO_MANY = (
    "Akun Anda Telah Di Non-Aktifkan Karena Terlalu Banyak Percobaan Login Gagal."
    " Silahkan Hubungi Administrator !!!"
)
ELSEWHERE = "ANDA SUDAH LOGIN DI PERANGKAT LAIN, LAPORKAN HAL MENCURIGAKAN JIKA BUKAN ANDA !!!"


def body(message: str, _status: int, _endpoint: str | None) -> Json:
    """A message in the dialect's envelope."""
    return {"timestamp": _timestamp("seconds"), "status": 0, "message": message}


VOICE = Voice(
    body=body,
    words={
        errors.PortalError: (None, 403),
        errors.BadInput: NOTHING_FOUND,
        errors.TokenMissing: ("Token tidak ditemukan dalam header Authorization", 403),
        errors.UnknownToken: ("Token tidak ditemukan", 404),
        errors.SignInRequired: ("Token tidak valid atau kadaluarsa", 401),
        errors.NotAllowed: ("Header mobile-app tidak sesuai", 403),
        errors.InvalidCredentials: ("Username Atau Password salah silahkan coba lagi !!!", 403),
        errors.AccountDeactivated: INACTIVE,
        errors.EmailUnconfirmed: INACTIVE,
        errors.TooManyFailures: (TOO_MANY, 403),
        # Makes an unknown name look like a deactivated one.
        errors.LockedOut: (TOO_MANY, 403),
        errors.SignedInElsewhere: (ELSEWHERE, 403),
    },
    faults={
        400: NOTHING_FOUND,
        404: NOTHING_FOUND,
        405: ("Metode tidak diizinkan !!!", 405),
        413: ("Permintaan terlalu besar !!!", 413),
        429: ("Terlalu banyak permintaan, silahkan coba lagi nanti !!!", 429),
    },
    fault=("SERVER MENGALAMI GANGGUAN, SILAHKAN COBA LAGI NANTI !!!", 500),
)


@blueprint.before_request
def require_app() -> None:
    """Reject clients other than the app, by the name it sends."""
    if request.headers.get("mobile-app", "").strip() != APP:
        raise NotAllowed


@blueprint.post("/login")
@api_token_required(Scope.SIGN_IN)
def login() -> Response:
    """Sign in on this device, for a day."""
    sent, now = schemas.body(schemas.Login), utcnow()
    session = mobile.sign_in(
        sent.username, sent.password, origin=_origin(), now=now, lasts=jwt.MOBILE_LASTS
    )
    account = session.account
    return _success(name=account.full_name if account else "", token=jwt.mobile(session, now=now))


@blueprint.post("/logout")
@token_required(jwt.MOBILE)
def logout() -> Response:
    """Sign out: `Authorization` holds the token that signing in gave."""
    accounts.sign_out(token_session(), origin=_device(), now=utcnow())
    return _success()


def answer(error: Exception, status: int) -> Response:
    """Format an error as the document has it."""
    return VOICE.answer(error, status, request.endpoint)


def _origin() -> Origin:
    """The device by its own id, or else by the API token and the client that presents it."""
    return _device(f"{current_bearer().token}\n{request.user_agent.string}")


def _device(otherwise: str = "") -> Origin:
    name = request.headers.get("device-id", "").strip()
    return Origin(
        device=f"mobile:{name}" if name else f"mobile token:{otherwise}",
        address=request.remote_addr or "",
        client=request.user_agent.string,
    )


def _success(**more: str) -> Response:
    at = {"timestamp": _timestamp("milliseconds"), "status": 1, "message": "SUCCESS"}
    return reply(at | more)


def _timestamp(precision: str) -> str:
    return utcnow().isoformat(timespec=precision).replace("+00:00", "Z")
