"""The dialect of the former invitation service, `/api/v1`, true to its document.

Views parse, call the same verbs as the pages, and respond. The contract is
`contracts/invitations-mechanism.md`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from portal.api.dialects import schemas
from portal.api.dialects.responses import Json, Voice, Words, reply
from portal.clock import utcnow
from portal.config import settings
from portal.domain import errors
from portal.domain.accounts import accounts, emails
from portal.domain.client import Origin
from portal.domain.errors import BadInput, NotFound, PasswordsDiffer
from portal.domain.invitations import api_listing, invitations, redemptions, timeline
from portal.domain.invitations.api_listing import Listed
from portal.domain.invitations.invitations import Once, Terms
from portal.domain.invitations.listing import Query
from portal.domain.invitations.recipient_verification import Proof
from portal.domain.tokens import jwt
from portal.http.guards import bearer_required, current_bearer, public
from portal.models import Account, Invitation, Role, Scope, Status, Surface

blueprint = Blueprint("api", __name__)

LONGEST_KEY = 255

# The API knows three states.
WIRE_STATUS: Mapping[str, str] = {
    Status.ACTIVE.value: "active",
    Status.USED.value: "used",
    Status.EXPIRED.value: "in_active",
    Status.REVOKED.value: "in_active",
    Status.SCHEDULED.value: "in_active",
}
MEANT_BY = {
    word: tuple(state for state in Status if WIRE_STATUS[state] == word)
    for word in WIRE_STATUS.values()
}

UNKNOWN_CODE = ("invalid invitation code, try again!", 400)
INVALID_REQUEST = ("invalid request", 400)
WRONG_CREDENTIALS = ("email or password doesn't match!", 400)
NO_DEVICE = ("invalid deviceId, please reinstall apps!", 405)
NO_METHOD = ("method not allowed!", 405)
LOCKED = "too many failed login attempts, please try again in {left}!"
CHANCES = "invalid invitation code, you have {left} chances left!"


def duration(seconds: int) -> str:
    """Whole seconds as Go's `time.Duration` writes them: `1h0m0s`, `29m58s`, `45s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def locked(error: errors.LockedOut) -> str:
    """How long a lockout still lasts."""
    return LOCKED.format(left=duration(error.seconds_left(utcnow())))


def rejected(error: errors.CodeRefused) -> str:
    """How many attempts remain, where the code cost one."""
    return str(error) if error.tries_left is None else CHANCES.format(left=error.tries_left)


def body(message: str, _status: int, _endpoint: str | None) -> Json:
    """A message in the dialect's envelope."""
    return {"status": "error", "message": message}


# Worded alike in every view.
EVERYWHERE: Mapping[type[errors.PortalError], Words] = {
    errors.SignInRequired: ("unauthorized", 401),
    errors.NotAllowed: (None, 403),
    errors.ForeignOrigin: (None, 403),
    errors.NotFound: ("invitation not found!", 404),
    errors.KeyReused: (None, 422),
    errors.LockedOut: (locked, 400),
}
# These views have one message for everything else.
FAILED: Mapping[str, Words] = {
    "api.generate": ("failed to generate invitation, try again!", 400),
    "api.index": ("failed to get invitation, try again!", 400),
    "api.validate": UNKNOWN_CODE,
}
VOICE = Voice(
    body=body,
    words={
        **EVERYWHERE,
        errors.PortalError: (None, 400),
        errors.BadInput: INVALID_REQUEST,
        errors.InvalidEmail: ("invalid email", 400),
        errors.PasswordsDiffer: ("password doesn't match", 400),
        errors.AccountTaken: ("user already exist", 400),
        errors.InvalidCredentials: WRONG_CREDENTIALS,
        errors.SecondFactorRequired: (None, 400),
        errors.AccountDeactivated: WRONG_CREDENTIALS,
        errors.CodeRefused: (rejected, 400),
        errors.RecipientUnproven: UNKNOWN_CODE,
        errors.VerificationRefused: UNKNOWN_CODE,
    },
    in_view={view: {**EVERYWHERE, errors.PortalError: failed} for view, failed in FAILED.items()},
    faults={
        400: INVALID_REQUEST,
        404: NO_METHOD,
        405: NO_METHOD,
        429: ("too many requests, please try again later!", 429),
    },
    fault=("something when wrong, please try again!", None),
)


@blueprint.get("/ping")
@public
def ping() -> Response:
    """Whether anybody is there."""
    return jsonify({"status": "ok", "message": "pong!"})


@blueprint.get("/api/v1/test")
@public
def up() -> Response:
    """Whether anybody is there, in other words."""
    return jsonify("server Up!")


@blueprint.post("/api/v1/admin/register")
@public
def register() -> Response:
    """Add an admin."""
    sent = schemas.body(schemas.Registration)
    if sent.password != sent.confirm_password:
        raise PasswordsDiffer
    accounts.register(
        email=sent.email,
        username=sent.username,
        password=sent.password,
        invitation_code=sent.invitation_code,
        proof=Proof(code=sent.mailed_code or "", link=sent.proof or ""),
        origin=_origin(),
        now=utcnow(),
    )
    return _ok(None)


@blueprint.post("/api/v1/admin/login")
@public
def login() -> Response:
    """Sign an admin in, for an hour."""
    sent, now = schemas.body(schemas.Credentials), utcnow()
    session = accounts.sign_in(
        emails.normalise(sent.email),
        sent.password,
        origin=_origin(),
        now=now,
        surface=Surface.API,
        lasts=jwt.ADMIN_LASTS,
        least=Role.ADMIN,
    )
    token = jwt.admin(session, now=now)
    return _ok({"token": token, "expiredAt": session.expires_at.isoformat(timespec="seconds")})


@blueprint.post("/api/v1/admin/logout")
@bearer_required(Scope.READ)
def logout() -> Response:
    """End the session a token names. API tokens are revoked in the portal instead."""
    session = current_bearer().session
    if session is None:
        raise BadInput
    accounts.sign_out(session, origin=_origin(), now=utcnow())
    return _ok(None)


@blueprint.route("/api/v1/admin/invitation/generate", methods=["GET", "POST"])
@bearer_required(Scope.ISSUE)
def generate() -> Response:
    """Issue a code. GET is what the document says; POST is the proper verb."""
    in_body = request.method == "POST" and schemas.has_body()
    options = schemas.body(schemas.Options) if in_body else schemas.query(schemas.Options)
    now = utcnow()
    invitation = invitations.issue(
        Terms(
            label=options.label,
            max_uses=options.max_uses,
            expires_at=now + timedelta(days=options.expires_in_days or settings.invitation_days),
        ),
        by=current_bearer().account,
        origin=_origin(),
        now=now,
        once=_once(options),
    )
    code = invitations.code_of(invitation)
    return _ok(_brief(code, invitation.status(now), invitation.expires_at))


@blueprint.get("/api/v1/admin/invitation/history")
@bearer_required(Scope.READ)
def index() -> Response:
    """One's own invitations, newest first: by page number, or by cursor."""
    view, now = schemas.query(schemas.HistoryView), utcnow()
    query = Query(
        text=view.q,
        statuses=MEANT_BY[view.status] if view.status else (),
        size=view.size,
        cursor=view.cursor or "",
    )
    owner = current_bearer().account
    number = view.page if view.cursor is None else None
    page = api_listing.page(query, by=owner, now=now, number=number)
    paginations: dict[str, Any] = {
        "page": view.page,
        "size": view.size,
        "total_record": page.total,
        "total_page": -(-page.total // view.size),
    }
    if view.cursor is not None:
        paginations["next_cursor"] = page.next
    return _ok({"paginations": paginations, "data": _told(page.rows, owner)})


@blueprint.get("/api/v1/admin/invitation/<uuid:id>")
@bearer_required(Scope.READ)
def show(id: UUID) -> Response:
    """One of one's own invitations, with whom it let in."""
    invitation = _own(id)
    admitted = [
        {"id": str(row.id), "at": row.at, "email": row.email}
        for row in timeline.redemptions_of(invitation)
    ]
    return _ok(_whole(invitation, utcnow()) | {"redemptions": admitted})


@blueprint.post("/api/v1/admin/invitation/<uuid:id>/revoke")
@bearer_required(Scope.MANAGE)
def revoke(id: UUID) -> Response:
    """Revoke for good."""
    sent = schemas.body(schemas.Revocation, optional=True)
    ended = invitations.revoke(
        _own(id),
        by=current_bearer().account,
        origin=_origin(),
        now=utcnow(),
        end_sessions=sent.end_sessions,
    )
    return _ok({"id": str(id), "status": "in_active", "sessions_ended": ended})


@blueprint.post("/api/v1/admin/invitation/<uuid:id>/extend")
@bearer_required(Scope.MANAGE)
def extend(id: UUID) -> Response:
    """Set a new end."""
    sent, now = schemas.body(schemas.Extension), utcnow()
    days = sent.expires_in_days
    invitation = invitations.extend(
        _own(id),
        expires_at=now + timedelta(days=days) if days else sent.expires_at,
        by=current_bearer().account,
        origin=_origin(),
        now=now,
    )
    return _ok(_whole(invitation, now))


@blueprint.get("/api/v1/invitation/<code>")
@public
def validate(code: str) -> Response:
    """What a code would open. It costs no try."""
    offer = redemptions.check(code, origin=_origin(), now=utcnow())
    return _ok(_brief(offer.code, offer.status, offer.expires_at))


@blueprint.post("/api/v1/user/login/<code>")
@public
def redeem(code: str) -> Response:
    """Let a device in by its code."""
    if not request.headers.get("deviceId", "").strip():
        return reply(body(*NO_DEVICE, request.endpoint), NO_DEVICE[1])
    sent = schemas.body(schemas.Redeeming, optional=True)
    redemptions.redeem(
        code,
        origin=_origin(),
        now=utcnow(),
        email=sent.email,
        proof=Proof(code=sent.mailed_code or "", link=sent.proof or ""),
    )
    return _ok("Login Successful")


def answer(error: Exception, status: int) -> Response:
    """An error in the words of the document."""
    return VOICE.answer(error, status, request.endpoint)


def _origin() -> Origin:
    """The origin, with the device id that the client sends, if any."""
    asked = request
    device = asked.environ.get("HTTP_DEVICEID", "").strip()
    return Origin(
        device=f"api:{device}" if device else "",
        address=asked.remote_addr or "",
        client=asked.environ.get("HTTP_USER_AGENT", ""),
    )


def _once(options: schemas.Options) -> Once | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY:
        raise BadInput
    return Once(key, options.model_dump_json())


def _own(id: UUID) -> Invitation:
    """An invitation the caller issued and may still manage; raises `NotFound` for any other."""
    by = current_bearer().account
    if invitations.get(id).created_by_id != by.id:
        raise NotFound
    return invitations.get_within_reach(id, by=by)


def _brief(code: str, status: str, end: datetime | None) -> dict[str, Any]:
    return {"code": code, "status": WIRE_STATUS[status], "expired_at": end}


def _told(rows: Sequence[Listed], owner: Account) -> list[dict[str, Any]]:
    issuer = str(owner.id)
    return [
        {
            "id": row,
            "code": code,
            "status": WIRE_STATUS[status],
            "created_by": issuer,
            "created_at": created_at,
            "expired_at": expires_at,
        }
        for row, code, created_at, expires_at, status in rows
    ]


def _whole(invitation: Invitation, now: datetime) -> dict[str, Any]:
    (row,) = _told([api_listing.listed(invitation, now=now)], current_bearer().account)
    return row | {
        "label": invitation.label,
        "max_uses": invitation.max_uses,
        "uses": invitation.uses,
    }


def _ok(data: object) -> Response:
    return reply({"status": "ok", "message": "success", "data": data})
