"""The dialect of the former okami service, true to its document.

Registration, and sign-in in three steps; the pages behind the mailed link are in
`portal/web/okami.py`. The contract is `contracts/okami-auth.md`.
"""

from typing import Any

from flask import Blueprint, Response, request

from portal.api.dialects import validator
from portal.api.dialects.responses import Json, Voice, reply
from portal.clock import utcnow
from portal.domain import errors
from portal.domain.accounts import emails, registration
from portal.domain.client import Origin
from portal.domain.tokens import jwt, okami
from portal.http.guards import public
from portal.models import Session

blueprint = Blueprint("okami", __name__, url_prefix="/okami/auth")

ACTIVE = 2
SECRET = "Secret-Token"  # noqa: S105 - the header's name
CODES = {
    400: "OAUTH-370001-VALIDATION",
    401: "OAUTH-370002-AUTHENTICATION",
    403: "OAUTH-370003-FORBIDDEN",
    404: "OAUTH-370004-NOT-FOUND",
    405: "OAUTH-370005-METHOD",
    413: "OAUTH-370006-TOO-LARGE",
    429: "OAUTH-370007-TOO-MANY-REQUESTS",
}
FAULT_CODE = "OAUTH-370000-SERVER"
# The former service's names for the places of errors.
PLACES = {
    "okami.register": "ValidateRegistration",
    "okami.step1": "ValidateStep1",
    "okami.step2": "ValidateStep2",
    "okami.step3": "ValidateStep3",
}
WEAK = validator.message("RegistrationForm", validator.NEW_PASSWORD, "password")


def body(message: str, status: int, endpoint: str | None) -> Json:
    """A message in the dialect's envelope."""
    place = PLACES.get(endpoint or "")
    detail = ["SignRequest.go", place] if place and status < 500 else None
    return _envelope(message, code=CODES.get(status, FAULT_CODE), detail=detail)


VOICE = Voice(
    body=body,
    words={
        errors.PortalError: (None, 400),
        errors.WeakPassword: (WEAK, 400),
        errors.InvalidCredentials: ("Email or password is wrong", 401),
        errors.AccountDeactivated: ("This account is not active", 401),
        errors.EmailUnconfirmed: ("This account is not active yet, please check your mailbox", 401),
        errors.SignInRequired: ("Secret-Token is not valid or has expired", 401),
        errors.VerificationRefused: ("Secret-Token is not valid or has expired", 401),
        errors.RegistrationClosed: ("Registration is closed", 403),
        errors.ForeignOrigin: (None, 403),
        errors.LockedOut: ("Too many attempts, please try again later", 429),
        errors.AskedTooOften: ("Too many requests, please try again later", 429),
    },
    faults={
        400: ("The request could not be read", 400),
        404: ("There is no such address", 404),
        405: ("This method is not allowed", 405),
        413: ("The request is too large", 413),
        429: ("Too many requests, please try again later", 429),
    },
    fault=("Something went wrong, please try again later", None),
)


@blueprint.post("/registration")
@public
def register() -> Response:
    """Add an account, and mail the link that activates it."""
    fields = (validator.EMAIL, validator.NEW_PASSWORD, validator.INVITATION)
    sent = validator.texts("RegistrationForm", *fields)
    registration.sign_up(
        email=sent["email"],
        password=sent["password"],
        invitation_code=sent["invitation_code"] or None,
        origin=_origin(),
        now=utcnow(),
        dialect="okami",
    )
    return reply(_success("Please check your mailbox"))


@blueprint.post("/sign/in/step1")
@public
def step1() -> Response:
    """A client names itself by a UUID; the header Secret-Token of the answer leads to step 2."""
    client_id = validator.texts("Step1", validator.CLIENT)["uuid"]
    return _handed_out(okami.name_client(client_id, now=utcnow()))


@blueprint.post("/sign/in/step2")
@public
def step2() -> Response:
    """E-mail and password beside the Secret-Token of step 1; the new one leads to step 3."""
    sent = validator.texts("Step2", validator.EMAIL, validator.PASSWORD)
    secret = okami.show_password(
        request.headers.get(SECRET, ""),
        emails.normalise(sent["email"]),
        sent["password"],
        origin=_origin(),
        now=utcnow(),
    )
    return _handed_out(secret)


@blueprint.get("/sign/in/step3/<token>")
@public
def step3(token: str) -> Response:
    """Redeem the Secret-Token of step 2, once, for a token of eight hours."""
    address, program, now = request.remote_addr or "", request.user_agent.string, utcnow()
    session, client_id = okami.let_in(token, address=address, program=program, now=now)
    return reply(_success("", _user(session) | _token(session, client_id)))


def answer(error: Exception, status: int) -> Response:
    """Format an error as the document has it."""
    return VOICE.answer(error, status, request.endpoint)


def _user(session: Session) -> Json:
    account = session.account
    return {"user_id": account.serial, "email": account.email} if account else {}


def _token(session: Session, client_id: str) -> Json:
    is_staff = session.account is not None and session.account.role.is_staff
    return {
        "client_id": client_id,
        "status": ACTIVE,
        "sysadmin": int(is_staff),
        "user_token": jwt.okami(session, client_id, now=session.created_at),
    }


def _handed_out(secret: str) -> Response:
    response = reply(_success(""))
    response.headers[SECRET] = secret
    return response


def _success(message: str, data: Json | None = None) -> Json:
    return _envelope(message, success=True, data=data)


def _envelope(
    message: str,
    *,
    success: bool = False,
    code: str = "",
    detail: list[str] | None = None,
    data: Any = None,
) -> Json:
    status = {"success": success, "code": code, "message": message, "detail": detail}
    return {"timestamp": int(utcnow().timestamp()), "status": status, "Data": data}


def _origin() -> Origin:
    """The origin; before the last step the dialect has no device ids."""
    return Origin("", address=request.remote_addr or "", client=request.user_agent.string)
