"""Schemas and examples of API responses, most of them the document's own."""

from typing import Any

from portal.api.dialects.invitations import WIRE_STATUS

Schema = dict[str, Any]

CODE, ID = "H9O9krYYZCo", "8f795135-631a-4ae2-b1b2-b26cffe0f542"
OWNER = "22480657-86bd-4854-aa9d-2c6033079f44"
THEN, NEXT_WEEK = "2022-07-18T16:22:11.448568+07:00", "2022-07-25T16:22:11.448568+07:00"


def record(**properties: Schema) -> Schema:
    """An object with exactly these fields."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def rows_of(schema: Schema) -> Schema:
    """An array of `schema`."""
    return {"type": "array", "items": schema}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
NUMBER_OR_NONE: Schema = {"type": ["integer", "null"]}
UUID: Schema = {"type": "string", "format": "uuid"}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NONE: Schema = {"type": ["string", "null"], "format": "date-time"}
TEXT_OR_NONE: Schema = {"type": ["string", "null"]}
NOTHING: Schema = {"type": "null"}
STATUS: Schema = {"enum": sorted(set(WIRE_STATUS.values()))}

BRIEF = record(code=TEXT, status=STATUS, expired_at=TIME_OR_NONE)
ROW = record(
    id=UUID, code=TEXT, status=STATUS, created_by=UUID, created_at=TIME, expired_at=TIME_OR_NONE
)
WHOLE = record(**ROW["properties"], label=TEXT, max_uses=NUMBER_OR_NONE, uses=NUMBER)
STORY = record(
    **WHOLE["properties"], redemptions=rows_of(record(id=UUID, at=TIME, email=TEXT_OR_NONE))
)
PAGINATIONS = record(page=NUMBER, size=NUMBER, total_record=NUMBER, total_page=NUMBER)
PAGINATIONS["properties"]["next_cursor"] = TEXT_OR_NONE
PAGE = record(paginations=PAGINATIONS, data=rows_of(ROW))

READY = record(status=TEXT, checks={"type": "object", "additionalProperties": {"type": "boolean"}})

PONG = {"status": "ok", "message": "pong!"}
READY_EXAMPLE = {
    "status": "ok",
    "checks": {"database": True, "migrations": True, "outbox": True},
}
AWAY_EXAMPLE = {"status": "error", "checks": {"database": False}}
BRIEF_EXAMPLE = {"code": CODE, "status": "active", "expired_at": NEXT_WEEK}
ROW_EXAMPLE = {
    "id": ID,
    "code": CODE,
    "status": "active",
    "created_by": OWNER,
    "created_at": THEN,
    "expired_at": NEXT_WEEK,
}
WHOLE_EXAMPLE = ROW_EXAMPLE | {"label": "Open day", "max_uses": 1, "uses": 0}
STORY_EXAMPLE = WHOLE_EXAMPLE | {
    "uses": 1,
    "redemptions": [{"id": ID, "at": THEN, "email": None}],
}
PAGE_EXAMPLE = {
    "paginations": {"page": 1, "size": 5, "total_record": 1, "total_page": 1},
    "data": [ROW_EXAMPLE],
}
REVOKED_EXAMPLE = {"id": ID, "status": "in_active", "sessions_ended": 0}
TOKEN_EXAMPLE = {
    "token": "eyJhbGciOiJIUzI1NiIs.eyJleHAiOjE2NTgxMzk0NTQs.sX5RNX1sBEbJ4PpmN2o75mRSmKW8",
    "expiredAt": "2022-07-18T17:17:34+07:00",
}
CREDENTIALS_EXAMPLE = {"email": "testuser@gmail.com", "password": "12345AA"}
REGISTRATION_EXAMPLE = {
    "username": "testuser",
    "email": "testuser@gmail.com",
    "password": "12345AA",
    "confirm_password": "12345AA",
}
OPTIONS_EXAMPLE = {"label": "Open day", "max_uses": 2, "expires_in_days": 30}


def ok(data: Schema, example: Any) -> dict[int, tuple[str, Schema, Any]]:
    """A success in the dialect's envelope."""
    schema = record(status={"const": "ok"}, message={"const": "success"}, data=data)
    body = {"status": "ok", "message": "success", "data": example}
    return {200: ("application/json", schema, body)}


def plain(kind: str, schema: Schema, example: Any = None) -> dict[int, tuple[str, Schema, Any]]:
    """A success without the envelope."""
    return {200: (kind, schema, example)}
