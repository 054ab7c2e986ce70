"""The handwritten part of the API reference, operation by operation."""

from datetime import timedelta
from typing import Any

from portal.api.dialects import schemas
from portal.api.openapi.operations import Operation
from portal.api.openapi.responses import (
    AWAY_EXAMPLE,
    BRIEF,
    BRIEF_EXAMPLE,
    CODE,
    CREDENTIALS_EXAMPLE,
    ID,
    NOTHING,
    NUMBER,
    OPTIONS_EXAMPLE,
    PAGE,
    PAGE_EXAMPLE,
    PONG,
    READY,
    READY_EXAMPLE,
    REGISTRATION_EXAMPLE,
    REVOKED_EXAMPLE,
    STATUS,
    STORY,
    STORY_EXAMPLE,
    TEXT,
    TIME,
    TOKEN_EXAMPLE,
    UUID,
    WHOLE,
    WHOLE_EXAMPLE,
    Schema,
    ok,
    plain,
    record,
)
from portal.clock import utcnow
from portal.domain import errors
from portal.domain.errors import PortalError
from portal.models import Scope

DEVICE: Schema = {
    "name": "deviceId",
    "in": "header",
    "required": True,
    "description": "How the device names itself; three wrong codes lock it for 30 minutes.",
    "schema": {"type": "string", "minLength": 1, "pattern": "^[!-~]+$"},
    "example": "xxxx",
}
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A name for this request: repeated with it, it issues nothing new.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
SEGMENT: Schema = {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[^/]+$"}
PLACES: dict[str, Schema] = {
    "id": {"schema": UUID, "example": ID},
    "code": {
        "description": "In capitals or not, with its dashes or without.",
        "schema": SEGMENT,
        "example": CODE,
    },
    "token": {"description": "The Secret-Token of step 2.", "schema": SEGMENT, "example": "a.b.c"},
    "username": {"schema": SEGMENT, "example": "usersadhelx1"},
    "email": {"schema": SEGMENT, "example": "usersadhelx1@gmail.com"},
    "image_file": {
        "description": "As the upload was answered; -96 before .webp asks for the small one.",
        "schema": SEGMENT,
        "example": f"{'0' * 64}.webp",
    },
}


def locked() -> PortalError:
    """A lockout that has just begun."""
    return errors.LockedOut(utcnow() + timedelta(minutes=30))


def wrong_code() -> PortalError:
    """The first wrong code."""
    return errors.CodeRefused(tries_left=2)


def weak() -> PortalError:
    """An example of a weak password."""
    return errors.WeakPassword("This password is among the most common ones. Choose another.")


def beyond_scope() -> PortalError:
    """A token with too small a scope."""
    return errors.NotAllowed("This token may not do that.")


SIGNED_IN = (errors.SignInRequired, errors.BadInput)
CHANGING = (*SIGNED_IN, beyond_scope, errors.NotFound)
BEARER: tuple[Schema, ...] = ({"session": []}, {"apiToken": []})
ISSUING: dict[str, Any] = {
    "path": "/api/v1/admin/invitation/generate",
    "endpoint": "api.generate",
    "answers": ok(BRIEF, BRIEF_EXAMPLE),
    "scope": Scope.ISSUE,
    "security": BEARER,
    "query": schemas.Options,
    "headers": (IDEMPOTENCY_KEY,),
    "refusals": (*SIGNED_IN, beyond_scope, errors.KeyReused),
}

OPERATIONS = (
    Operation(
        "post",
        "/api/v1/admin/register",
        "api.register",
        ok(NOTHING, None),
        body=schemas.Registration,
        sends=REGISTRATION_EXAMPLE,
        refusals=(
            errors.BadInput,
            errors.PasswordsDiffer,
            errors.InvalidEmail,
            errors.AccountTaken,
            weak,
            errors.RegistrationClosed,
            wrong_code,
            locked,
        ),
    ),
    Operation(
        "post",
        "/api/v1/admin/login",
        "api.login",
        ok(record(token=TEXT, expiredAt=TIME), TOKEN_EXAMPLE),
        body=schemas.Credentials,
        sends=CREDENTIALS_EXAMPLE,
        refusals=(
            errors.BadInput,
            errors.InvalidEmail,
            errors.InvalidCredentials,
            locked,
        ),
    ),
    Operation(
        "post",
        "/api/v1/admin/logout",
        "api.logout",
        ok(NOTHING, None),
        scope=Scope.READ,
        security=({"session": []},),
        refusals=SIGNED_IN,
    ),
    Operation(
        "post",
        **ISSUING,
        body=schemas.Options,
        sends=OPTIONS_EXAMPLE,
        body_is_optional=True,
    ),
    Operation("get", **ISSUING),
    Operation(
        "get",
        "/api/v1/admin/invitation/history",
        "api.index",
        ok(PAGE, PAGE_EXAMPLE),
        scope=Scope.READ,
        security=BEARER,
        query=schemas.HistoryView,
        refusals=SIGNED_IN,
    ),
    Operation(
        "get",
        "/api/v1/admin/invitation/{id}",
        "api.show",
        ok(STORY, STORY_EXAMPLE),
        scope=Scope.READ,
        security=BEARER,
        refusals=(errors.SignInRequired, errors.NotFound, errors.NotAllowed),
    ),
    Operation(
        "post",
        "/api/v1/admin/invitation/{id}/revoke",
        "api.revoke",
        ok(record(id=UUID, status=STATUS, sessions_ended=NUMBER), REVOKED_EXAMPLE),
        scope=Scope.MANAGE,
        security=BEARER,
        body=schemas.Revocation,
        sends={"end_sessions": True},
        body_is_optional=True,
        refusals=CHANGING,
    ),
    Operation(
        "post",
        "/api/v1/admin/invitation/{id}/extend",
        "api.extend",
        ok(WHOLE, WHOLE_EXAMPLE),
        scope=Scope.MANAGE,
        security=BEARER,
        body=schemas.Extension,
        sends={"expires_in_days": 30},
        refusals=(*CHANGING, errors.InvitationRevoked),
    ),
    Operation(
        "get",
        "/api/v1/invitation/{code}",
        "api.validate",
        ok(BRIEF, BRIEF_EXAMPLE),
        headers=({**DEVICE, "required": False},),
        refusals=(errors.CodeRefused, locked),
    ),
    Operation(
        "post",
        "/api/v1/user/login/{code}",
        "api.redeem",
        ok({"const": "Login Successful"}, "Login Successful"),
        body=schemas.Redeeming,
        sends={"email": "anna@example.org"},
        body_is_optional=True,
        headers=(DEVICE,),
        refusals=(
            wrong_code,
            locked,
            errors.RecipientRequired,
            errors.VerificationRefused,
            errors.StaffInvitation,
            errors.BadInput,
            errors.InvalidEmail,
        ),
    ),
    Operation(
        "get",
        "/ping",
        "api.ping",
        plain("application/json", record(status=TEXT, message=TEXT), PONG),
    ),
    Operation("get", "/api/v1/test", "api.up", plain("application/json", TEXT, "server Up!")),
    Operation(
        "get", "/api/openapi.json", "docs.document", plain("application/json", {"type": "object"})
    ),
    Operation("get", "/api/docs", "docs.page", plain("text/html", TEXT)),
    Operation(
        "get",
        "/healthz",
        "health.alive",
        plain("application/json", record(status=TEXT), {"status": "ok"}),
        is_limited=False,
    ),
    Operation(
        "get",
        "/readyz",
        "health.ready",
        plain("application/json", READY, READY_EXAMPLE)
        | {503: ("application/json", READY, AWAY_EXAMPLE)},
        is_limited=False,
    ),
    Operation(
        "get",
        "/metrics",
        "health.numbers",
        plain("text/plain", TEXT),
        security=({"metricsToken": []}, {}),
        refusals=(errors.NotAllowed,),
        is_limited=False,
    ),
)
