"""The dialect of the former course service, `/v1/login`, true to its document.

The contract is `contracts/kursus-masak-login.md`.
"""

from flask import Blueprint, Response, request

from portal.api.dialects import schemas
from portal.api.dialects.responses import Json, Voice, reply
from portal.clock import utcnow
from portal.domain import errors
from portal.domain.accounts import accounts, emails
from portal.domain.client import Origin
from portal.domain.tokens import jwt
from portal.http.guards import public
from portal.models import Surface

blueprint = Blueprint("kursus", __name__)

MISSING = ("Email dan Password tidak boleh kosong", 400)
INACTIVE = ("Akun ini tidak aktif, silahkan hubungi administrator", 400)
TOO_OFTEN = ("Terlalu banyak percobaan, silahkan coba lagi nanti", 429)


def body(message: str, _status: int, _endpoint: str | None) -> Json:
    """A message in the dialect's envelope."""
    return {"status": False, "message": message, "error_code": "ERR"}


VOICE = Voice(
    body=body,
    words={
        errors.PortalError: (None, 400),
        errors.BadInput: MISSING,
        errors.InvalidCredentials: ("Email / Password tidak sesuai", 400),
        errors.AccountDeactivated: INACTIVE,
        errors.EmailUnconfirmed: INACTIVE,
        errors.ForeignOrigin: (None, 403),
        errors.LockedOut: TOO_OFTEN,
    },
    faults={
        400: MISSING,
        404: ("Alamat tidak ditemukan", 404),
        405: ("Metode tidak diizinkan", 405),
        413: ("Permintaan terlalu besar", 413),
        429: TOO_OFTEN,
    },
    fault=("Terjadi gangguan pada server, silahkan coba lagi nanti", None),
)


@blueprint.post("/v1/login")
@public
def login() -> Response:
    """Sign in by e-mail and password, for a day."""
    sent, now = schemas.body(schemas.Credentials), utcnow()
    session = accounts.sign_in(
        emails.normalise(sent.email),
        sent.password,
        origin=_origin(),
        now=now,
        surface=Surface.API,
        dialect="kursus",
        lasts=jwt.KURSUS_LASTS,
    )
    data = {
        "token": jwt.kursus(session, now=now),
        "type": "internal",
        "expired_at": session.expires_at.isoformat().replace("+00:00", "Z"),
    }
    return reply({"status": True, "data": data})


def answer(error: Exception, status: int) -> Response:
    """Format an error as the document has it."""
    return VOICE.answer(error, status, request.endpoint)


def _origin() -> Origin:
    """The origin; the dialect has no device ids."""
    return Origin("", address=request.remote_addr or "", client=request.user_agent.string)
