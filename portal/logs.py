"""Logs: one JSON object a line on standard output, in the fields of the invitations contract.

Passwords, tokens, codes, cookies and Authorization are masked here, whatever request they come in.
"""

import logging
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from http import HTTPStatus
from itertools import islice
from typing import Any, NamedTuple, TextIO
from urllib.parse import parse_qsl, urlencode, urlsplit

import structlog
from flask import Flask, Request, Response
from uuid_utils import uuid4
from werkzeug.exceptions import HTTPException

from portal import current
from portal.encoder import Encoder

REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
PLACEHOLDER = re.compile(r"<(?:[^:<>]+:)?(\w+)>")
PLAIN_SEGMENT = re.compile(r"[a-z.-]*")
MASK = "***"
# `q` is the search of the history: a whole code may stand in it.
SECRETS = frozenset(
    {
        "password",
        "password_re",
        "confirm_password",
        "current_password",
        "confirmation",
        "token",
        "csrf_token",
    }
    | {"token_access", "token_refresh", "user_token"}
    | {"code", "own_code", "invitation_code", "q"}
    | {"authorization", "proxy-authorization", "cookie", "secret-token"}
)
ADDRESSES = frozenset({"referer", "hx-current-url"})
LONGEST_TEXT, LONGEST_LIST, DEEPEST = 200, 3, 5

JSON = Encoder(default=repr)

log = structlog.get_logger()


def init_app(app: Flask) -> None:
    """Configure structlog, and write the line of each request when it is answered."""
    chosen = app.extensions["portal.settings"]
    least = logging.getLevelNamesMapping()[chosen.log_level]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("msg"),
            structlog.processors.JSONRenderer(lambda event, **_: JSON.encode(event)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    app.after_request(partial(_write, least))


def request_id() -> str:
    """The id of this request: the caller's own, if it is a sane one, or a new one."""
    environ = current.request().environ
    known: str | None = environ.get("portal.request_id")
    if known is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        environ["portal.request_id"] = known
    return known


def answered(body: object) -> None:
    """Tell the log what a program is answered, so that it need not read the response again."""
    current.request().environ["portal.answered"] = body


def masked(value: Any, depth: int = 0) -> Any:
    """`value` without secrets, and without more of anything than a log has use for."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, dict):
        if depth == DEEPEST:
            return MASK
        return {
            name[:LONGEST_TEXT]: MASK
            if item is not None and name.lower() in SECRETS
            else masked(item, depth + 1)
            for name, item in islice(value.items(), 50)
        }
    if isinstance(value, list):
        return (
            [masked(item, depth + 1) for item in value[:LONGEST_LIST]] if depth < DEEPEST else MASK
        )
    return value


def _write(least: int, response: Response) -> Response:
    asked = current.request()
    response.headers["X-Request-ID"] = request_id()
    level = logging.ERROR if response.status_code >= 400 else logging.INFO
    if asked.endpoint != "static" and level >= least:
        # Beside structlog's processors, which take longer for it than all else here.
        _output(sys.stdout).msg(JSON.encode(_line(asked, response, level)))
    return response


@lru_cache(maxsize=1)
def _output(stream: TextIO) -> structlog.BytesLogger:
    return structlog.BytesLogger(stream.buffer)


def _line(asked: Request, response: Response, level: int) -> dict[str, Any]:
    body = asked.environ.get("portal.answered", "")
    return {
        "request": {
            "xid": request_id(),
            "method": asked.method,
            "url": _url(asked),
            "header": _headers(asked),
            "body": _body(asked),
        },
        "response": masked(body),
        "statusCode": response.status_code,
        "level": "error" if level == logging.ERROR else "info",
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "msg": _message(response, body),
    }


def _message(response: Response, body: object) -> str:
    if isinstance(body, Mapping):
        for name in ("message", "msg"):
            if name in body:
                return str(body[name])
    return HTTPStatus(response.status_code).phrase


def _url(asked: Request) -> str:
    """The address that was asked for; a code in it is masked, wherever it stands."""
    if asked.url_rule is None:
        path = "/".join(
            segment if PLAIN_SEGMENT.fullmatch(segment) else MASK
            for segment in asked.path.split("/")[:20]
        )
    else:
        values = asked.view_args or {}
        path = PLACEHOLDER.sub(
            lambda found: MASK if found[1] in SECRETS else str(values.get(found[1], MASK)),
            asked.url_rule.rule,
        )
    query = asked.query_string
    return path + _query(query.decode(errors="replace")) if query else path


def _query(text: str) -> str:
    pairs = parse_qsl(text[:2000], keep_blank_values=True)
    return "?" + urlencode(masked(dict(pairs)), safe="*") if pairs else ""


def _headers(asked: Request) -> dict[str, list[str]]:
    """By WSGI's own names, since Werkzeug would spell and check each header anew."""
    return {
        header.name: [header.written(value)]
        for variable, value in asked.environ.items()
        if (header := _header(variable)) and value
    }


class _Header(NamedTuple):
    name: str
    written: Callable[[str], str]


@lru_cache(maxsize=256)
def _header(variable: str) -> _Header | None:
    """`User-Agent` for `HTTP_USER_AGENT`, and how its value is written; None for no header."""
    if variable not in {"CONTENT_TYPE", "CONTENT_LENGTH"} and not variable.startswith("HTTP_"):
        return None
    name = variable.removeprefix("HTTP_").replace("_", "-").title()
    if name.lower() in SECRETS:
        return _Header(name, lambda _: MASK)
    if name.lower() in ADDRESSES:
        return _Header(name, _address)
    return _Header(name, lambda text: text[:LONGEST_TEXT])


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:  # such as http://[x
        return MASK
    return f"{parts.scheme}://{parts.netloc}{parts.path}{_query(parts.query)}"


def _body(asked: Request) -> Any:
    """What was sent, if it was JSON or a form, and not too much: some views never look at it."""
    if not asked.environ.get("CONTENT_TYPE"):
        return None
    try:
        if asked.is_json:
            return masked(asked.get_json(silent=True))
        return masked(asked.form.to_dict()) if asked.form else None
    except HTTPException:
        return None
