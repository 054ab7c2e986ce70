"""The dialect of the former sadhelx service, true to its document.

The contract is `contracts/sadhelx-usermgmt.md`. Where it names too few fields, `data` holds
more: the next refresh token, and the file of a new picture.
"""

import re

from flask import Blueprint, Response, request

from portal.api.dialects import schemas
from portal.api.dialects.responses import Json, Voice, reply
from portal.clock import utcnow
from portal.domain import errors
from portal.domain.accounts import accounts, availability, avatars, password_reset, registration
from portal.domain.accounts.profile import Profile
from portal.domain.accounts.sessions import Living
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountTaken,
    BadInput,
    EmailTaken,
    NotFound,
    PasswordsDiffer,
    SignInRequired,
)
from portal.domain.tokens import jwt, refresh
from portal.http.guards import public, shown_token, token_required, token_session, upload_allowed
from portal.http.headers import CONTENT_FOR_EVER, LARGEST_UPLOAD
from portal.models import Account, Purpose, Session, Surface

blueprint = Blueprint("sadhelx", __name__, url_prefix="/usermgmt")

LARGE, SMALL = avatars.SIZES
PICTURE = re.compile(rf"([0-9a-f]{{64}})(-{SMALL})?\.webp")
BAD_TOKEN = ("Token is invalid or has expired", 401)
BAD_CODE = ("Code is invalid or has expired", 401)
TOO_OFTEN = ("Too many requests, please try again later", 429)


def body(message: str, _status: int, _endpoint: str | None) -> Json:
    """A message in the dialect's envelope."""
    return {"status": False, "msg": message}


VOICE = Voice(
    body=body,
    words={
        errors.PortalError: (None, 400),
        errors.AccountTaken: ("User has already been taken", 409),
        errors.EmailTaken: ("Email has already been taken", 409),
        errors.InvalidCredentials: ("Wrong identity or password", 401),
        errors.EmailUnconfirmed: ("Email unverified", 401),
        errors.AccountDeactivated: ("User has been deactivated", 401),
        errors.SignInRequired: BAD_TOKEN,
        errors.TokenMissing: BAD_TOKEN,
        errors.VerificationRefused: BAD_CODE,
        errors.PasswordsDiffer: ("Passwords do not match", 400),
        errors.RegistrationClosed: ("Signing up needs an invitation", 403),
        errors.ForeignOrigin: (None, 403),
        errors.NotFound: ("Not found", 404),
        errors.LockedOut: TOO_OFTEN,
        errors.AskedTooOften: TOO_OFTEN,
        errors.TooManyUploads: TOO_OFTEN,
        errors.DecodersBusy: (None, 503),
    },
    faults={
        400: ("Bad request", 400),
        404: ("Not found", 404),
        405: ("Method not allowed", 405),
        413: ("Request too large", 413),
        429: TOO_OFTEN,
    },
    fault=("Internal server error", None),
)


@blueprint.get("/check-username/<username>")
@public
def check_username(username: str) -> Response:
    """Whether a username is free."""
    if not availability.is_username_free(username, origin=_origin(), now=utcnow()):
        raise AccountTaken
    return _ok("User available")


@blueprint.get("/check-email/<email>")
@public
def check_email(email: str) -> Response:
    """Whether an e-mail is free."""
    if not availability.is_email_free(email, origin=_origin(), now=utcnow()):
        raise EmailTaken
    return _ok("Email available")


@blueprint.post("/signup")
@public
def signup() -> Response:
    """Add an account, and mail the code that verifies its e-mail."""
    sent = schemas.body(schemas.SignUp)
    account = registration.sign_up(
        username=sent.username,
        email=sent.email,
        password=sent.password,
        profile=Profile(
            first_name=sent.firstname or "",
            last_name=sent.lastname or "",
            phone=sent.phonenumber or "",
        ),
        invitation_code=sent.invitation_code,
        origin=_origin(),
        now=utcnow(),
        dialect="sadhelx",
    )
    if account is None:
        raise EmailTaken
    return _ok("Success creating user", status=201)


@blueprint.post("/login")
@public
def login() -> Response:
    """Sign in by e-mail or username."""
    sent, now = schemas.body(schemas.IdentityAndPassword), utcnow()
    session = accounts.sign_in(
        sent.identity,
        sent.password,
        origin=_origin(),
        now=now,
        surface=Surface.API,
        dialect="sadhelx",
        lasts=jwt.SADHELX_LASTS,
        email_proven=True,
    )
    tokens = _tokens(session, refresh.issue(session, now=now))
    return _ok("Login successfull", {"user": _user(session), "token": tokens})


@blueprint.post("/refresh-token")
@public
def refresh_token() -> Response:
    """A new access token for a refresh token, which is used up: the next one comes along."""
    token, identity = shown_token(), schemas.body(schemas.Identity).identity
    session, following = refresh.renew(token, identity, origin=_origin(), now=utcnow())
    data = {"token": _tokens(session, following)}
    return _ok("Access token successfull generated", data)


@blueprint.post("/get-password-reset-code")
@public
def request_reset() -> Response:
    """Mail a code; nobody learns whether there is somebody to mail it to."""
    identity = schemas.body(schemas.Identity).identity
    password_reset.request(identity, origin=_origin(), now=utcnow())
    return _ok("Password reset code has been sent to email")


@blueprint.post("/verify/password-reset")
@public
def verify_reset() -> Response:
    """Exchange the mailed code for the one that sets a password."""
    sent = schemas.body(schemas.IdentityAndCode)
    code = password_reset.exchange(sent.identity, sent.code, origin=_origin(), now=utcnow())
    return _ok("Password reset code verified", {"code": code})


@blueprint.put("/reset-password")
@blueprint.put("/password-reset")
@public
def reset_password() -> Response:
    """Set a new password by the exchanged code. Every session ends."""
    sent = schemas.body(schemas.NewPassword)
    if sent.password != sent.password_re:
        raise PasswordsDiffer
    password_reset.finish(
        sent.identity,
        sent.code,
        sent.password,
        origin=_origin(),
        now=utcnow(),
        step=Purpose.NEW_PASSWORD,
    )
    return _ok("Password has been updated")


@blueprint.post("/verify/mail")
@blueprint.post("/verify/email")
@public
def verify_email() -> Response:
    """Verify an e-mail by the mailed code."""
    sent = schemas.body(schemas.IdentityAndCode)
    registration.activate(sent.identity, sent.code, origin=_origin(), now=utcnow())
    return _ok("User email verified")


@blueprint.put("/avatar-upload")
@token_required(jwt.SADHELX)
@upload_allowed(LARGEST_UPLOAD)
def upload_avatar() -> Response:
    """Show another picture of oneself."""
    account = _own(request.form.get("identity", ""))
    if "avatar" not in request.files:
        raise BadInput
    content = request.files["avatar"].read(avatars.LARGEST_FILE + 1)
    digest = avatars.store(account, content, origin=_origin(), now=utcnow())
    return _ok("Avatar has been saved", {"image_file": f"{digest}.webp"}, status=201)


@blueprint.get("/avatar-storage/<image_file>")
@public
def show_avatar(image_file: str) -> Response:
    """A picture, by the name that its upload was answered with."""
    named = PICTURE.fullmatch(image_file)
    if named is None:
        raise NotFound
    response = Response(avatars.find(named[1], SMALL if named[2] else LARGE))
    response.content_type = avatars.CONTENT_TYPE
    response.headers["Cache-Control"] = CONTENT_FOR_EVER
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def answer(error: Exception, status: int) -> Response:
    """Format an error as the document has it."""
    return VOICE.answer(error, status, request.endpoint)


def _own(identity: str) -> Account:
    """The signed-in account; raises unless `identity` names it."""
    account = accounts.find(identity)
    if account is None or account.id != token_session().account_id:
        raise SignInRequired
    return account


def _user(session: Session) -> Json:
    account = session.account
    if account is None:
        raise SignInRequired
    return {"user_id": str(account.serial), "username": account.username, "email": account.email}


def _tokens(session: Session | Living, refresh_token: str) -> Json:
    access = jwt.sadhelx(session, now=utcnow())
    return {"token_access": access, "token_refresh": refresh_token}


def _ok(message: str, data: Json | None = None, *, status: int = 200) -> Response:
    more = {} if data is None else {"data": data}
    return reply({"status": True, "msg": message, **more}, status)


def _origin() -> Origin:
    """The origin; the dialect has no device ids."""
    return Origin("", address=request.remote_addr or "", client=request.user_agent.string)
