"""The API described in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html).

What people write about it is in `reference.py`; summaries are the docstrings of the views, and
problems come from the `Voice` of each dialect, so that nothing is written twice.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from inspect import getdoc
from typing import Any

from flask import current_app
from pydantic import BaseModel

from portal.api.dialects import invitations
from portal.api.openapi import reference, reference_dialects, reference_sadhelx
from portal.api.openapi.operations import INVITATIONS, Dialect, Operation
from portal.api.openapi.reference import PLACES
from portal.api.openapi.responses import TEXT
from portal.config import settings
from portal.domain.errors import CodeRefused, PortalError

Json = dict[str, Any]

DESCRIPTION = """\
Issue invitation codes, see what became of them, and let devices in by them. Answers are JSON: \
{"status":"ok","message":"success","data":…} or {"status":"error","message":…}. Times are RFC 3339 \
with offset. Beside it the clients of four other services speak their own dialects to the same \
accounts: /v1 (kursus), /mobile, /okami and /usermgmt (sadhelx). The list x-problems names every \
message, with its dialect, its status and its meaning."""
SECURITY: dict[str, Json] = {
    "session": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "What signing in gives out: good for an hour, or until signing out.",
    },
    "apiToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "inv_…",
        "description": (
            "Made by staff in the portal, for one scope. read: see one's own invitations. issue:"
            " read, and issue codes. manage: issue, and revoke and extend. sign-in: sign people in"
            " at /mobile/login, and nothing else. x-scope of an operation says which it needs. A"
            " token may never do more than the account that made it may at that moment."
        ),
    },
    "mobileToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": (
            "/mobile: an API token of the scope sign-in, or to sign out the token of the sign-in."
        ),
    },
    "sadhelxAccess": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "/usermgmt: token_access of a sign-in, good for an hour.",
    },
    "sadhelxRefresh": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "/usermgmt: token_refresh, good once; the next one comes with the answer.",
    },
    "metricsToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "METRICS_TOKEN; where there is none, only the machine itself may ask.",
    },
}
# Possible responses of every operation.
EVERYWHERE = {429: "Too many requests.", 500: "A fault of ours.", 503: "The database is away."}
OPERATIONS = (
    *reference.OPERATIONS,
    *reference_dialects.OPERATIONS,
    *reference_sadhelx.OPERATIONS,
)
DIALECTS = (INVITATIONS, *reference_dialects.DIALECTS, reference_sadhelx.SADHELX)
NOT_FOUND = "There is no such path, or not for this method."
TOO_LONG = "The address is longer than 4,094 characters: gunicorn answers, before the portal."
NO_DEVICE = "The header deviceId is missing or empty."


def document() -> Json:
    """The complete document."""
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    models = {operation.body for operation in OPERATIONS if operation.body}
    bodies = {model.__name__: model.model_json_schema() for model in models}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{settings.site_name} API", "version": "1", "description": DESCRIPTION},
        "servers": [{"url": settings.base_url}],
        "paths": paths,
        "components": {
            "schemas": {each.problem_name: each.problem for each in DIALECTS}
            | dict(sorted(bodies.items())),
            "responses": {str(status): _everywhere(INVITATIONS, status) for status in EVERYWHERE},
            "securitySchemes": SECURITY,
        },
        "x-problems": _problems(),
    }


def _operation(operation: Operation) -> Json:
    view = current_app.view_functions[operation.endpoint]
    described: Json = {
        "operationId": operation.name,
        "summary": (getdoc(view) or "").partition("\n")[0],
        "tags": [operation.dialect.name],
        "parameters": [*_places(operation.path), *operation.headers, *_query(operation.query)],
        "responses": _responses(operation),
        "security": list(operation.security),
    }
    if operation.scope:
        described["x-scope"] = operation.scope
    if operation.body:
        schema = {"$ref": f"#/components/schemas/{operation.body.__name__}"}
        described["requestBody"] = {
            "required": not operation.body_is_optional,
            "content": {operation.body_type: {"schema": schema, "example": operation.sends}},
        }
    return described


def _places(path: str) -> list[Json]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, **PLACES[name]} for name in names]


def _query(model: type[BaseModel] | None) -> Iterator[Json]:
    """The fields of a model as query parameters, which cannot be null."""
    fields: Json = model.model_json_schema()["properties"] if model else {}
    for name, field in fields.items():
        schema = {key: field[key] for key in field.keys() - {"anyOf", "title"}}
        for choice in field.get("anyOf", ()):
            if choice != {"type": "null"}:
                schema |= choice
        if schema.get("default", "") is None:
            del schema["default"]
        yield {"name": name, "in": "query", "schema": schema}


def _responses(operation: Operation) -> Json:
    dialect = operation.dialect
    responses: Json = {
        str(status): _response(HTTPStatus(status).phrase, *answer)
        for status, answer in operation.answers.items()
    }
    for name, header in operation.gives.items():
        responses["200"]["headers"] = {name: header}
    for message, status, meaning in _endings(operation):
        schema = {"$ref": f"#/components/schemas/{dialect.problem_name}"}
        response = responses.setdefault(
            str(status), _response(meaning, operation.problem_type, schema, None)
        )
        media = response["content"].setdefault(operation.problem_type, {"schema": schema})
        value = dialect.voice.body(message, status, operation.endpoint)
        media.setdefault("examples", {})[message] = {"summary": meaning, "value": value}
        if len(media["examples"]) > 1:
            response["description"] = "One of several problems: the message tells which."
    if operation.query:
        responses["414"] = _response(TOO_LONG, "text/html", TEXT, None)
    if operation.is_limited:
        for status in EVERYWHERE:
            responses.setdefault(*_anyway(dialect, status))
    return dict(sorted(responses.items()))


def _anyway(dialect: Dialect, status: int) -> tuple[str, Json]:
    """A response that any operation may have; shared by reference in the most common dialect."""
    if dialect is INVITATIONS:
        return str(status), {"$ref": f"#/components/responses/{status}"}
    return str(dialect.voice.of_fault(status)[1]), _everywhere(dialect, status)


def _response(description: str, kind: str, schema: Json, example: object) -> Json:
    media: Json = {"schema": schema}
    if example is not None:
        media["example"] = example
    return {"description": description, "content": {kind: media}}


def _everywhere(dialect: Dialect, status: int) -> Json:
    message, answered = dialect.voice.of_fault(status)
    example = dialect.voice.body(message, answered, None)
    schema = {"$ref": f"#/components/schemas/{dialect.problem_name}"}
    return _response(EVERYWHERE[status], "application/json", schema, example)


def _endings(operation: Operation) -> Iterator[tuple[str, int, str]]:
    """Message, status and meaning of each domain error of an operation."""
    voice = operation.dialect.voice
    for make in operation.refusals:
        error = make()
        yield *voice.of_refusal(error, operation.endpoint), _meaning(error)
    if operation.endpoint == "api.redeem":
        yield *invitations.NO_DEVICE, NO_DEVICE
    if "{" in operation.path:
        yield *voice.of_fault(404), NOT_FOUND


def _meaning(error: PortalError) -> str:
    if isinstance(error, CodeRefused) and error.tries_left is not None:
        return "The code lets this device not in; so many tries are left to it."
    return (getdoc(type(error)) or "").partition("\n")[0]


def _problems() -> list[Json]:
    """Every message of a dialect once: its status, meaning and operations."""
    found: dict[tuple[str, int, str], Json] = {}
    for operation in OPERATIONS:
        name = operation.dialect.name
        for message, status, meaning in _endings(operation):
            new = _problem(message, status, meaning, name)
            row = found.setdefault((message, status, name), new)
            row["operations"] = sorted({*row["operations"], operation.name})
    for dialect in DIALECTS:
        for fault, meaning in EVERYWHERE.items():
            message, status = dialect.voice.of_fault(fault)
            new = _problem(message, status, meaning, dialect.name)
            found.setdefault((message, status, dialect.name), new)
    return sorted(found.values(), key=lambda row: (row["status"], row["message"]))


def _problem(message: str, status: int, meaning: str, dialect: str) -> Json:
    """One message; clients may match `pattern`, in which numbers vary."""
    pattern = re.escape(message)
    varied = ((invitations.LOCKED, r"(\d+h)?(\d+m)?\d+s"), (invitations.CHANCES, r"\d+"))
    for template, varying in varied:
        known = re.escape(template).replace(re.escape("{left}"), varying)
        if re.fullmatch(known, message):
            pattern = known
    return {
        "message": message,
        "pattern": f"^{pattern}$",
        "status": status,
        "dialect": dialect,
        "meaning": meaning,
        "operations": [],
    }
