"""Logs: one JSON object a line on standard output, in the fields of the invitations contract.

Passwords, tokens, codes, cookies and Authorization are masked here, whatever request they come in.
"""

import logging
import re
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from http import HTTPStatus
from itertools import islice
from typing import Any, TextIO
from urllib.parse import unquote_plus, urlsplit

import structlog
from flask import Flask, Request, Response, request
from uuid_utils import uuid4
from werkzeug.exceptions import HTTPException

from portal.clock import utcnow
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
RETURNS = frozenset({"next"})  # where to go after signing in: a search may have been interrupted
LONGEST_TEXT, LONGEST_LIST, DEEPEST = 200, 3, 5

JSON = Encoder(default=repr, utc="Z")

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
    environ = request.environ
    known: str | None = environ.get("portal.request_id")
    if known is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        environ["portal.request_id"] = known
    return known


def answered(body: object) -> None:
    """Tell the log what a program is answered, so that it need not read the response again."""
    request.environ["portal.answered"] = body


def masked(value: Any, depth: int = 0) -> Any:
    """`value` without secrets, and without more of anything than a log has use for."""
    if isinstance(value, str):
        return value[_SHOWN]
    if not isinstance(value, (dict, list)):
        return value
    if depth == DEEPEST:
        return MASK
    if isinstance(value, list):
        return [masked(item, depth + 1) for item in value[:LONGEST_LIST]]
    shown = {}
    for long_name, item in islice(value.items(), 50):
        name = long_name[_SHOWN]
        manner = _manner(name) if item is not None else None
        shown[name] = manner(str(item)) if manner else masked(item, depth + 1)
    return shown


_SHOWN = slice(LONGEST_TEXT)


@lru_cache(maxsize=1024)
def _manner(name: str) -> Callable[[str], str] | None:
    """How the value of a field is written; None for one that has nothing to hide."""
    if name.lower() in SECRETS:
        return _nothing
    return _path if name.lower() in RETURNS else None


def _nothing(_: str) -> str:
    return MASK


def _beginning(text: str) -> str:
    return text[:LONGEST_TEXT]


def _path(address: str) -> str:
    return _beginning(address.partition("?")[0])


def _write(least: int, response: Response) -> Response:
    asked = request
    response.headers.add("X-Request-ID", request_id())
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
        "time": utcnow(),
        "msg": _message(response, body),
    }


def _message(response: Response, body: object) -> str:
    if isinstance(body, dict):
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
        path = _template(asked.url_rule.rule).format_map(asked.view_args or {})
    query = asked.query_string
    return path + _query(query.decode(errors="replace")) if query else path


@lru_cache(maxsize=1024)
def _template(rule: str) -> str:
    """A rule of the URL map as a format string, `/a/{id}` for `/a/<uuid:id>`, without secrets."""
    return PLACEHOLDER.sub(lambda found: MASK if found[1] in SECRETS else f"{{{found[1]}}}", rule)


def _query(text: str) -> str:
    return "?" + "&".join(map(_pair, text[:2000].split("&"))) if text else ""


def _pair(text: str) -> str:
    """As it was sent; a secret is found by its name, which may be written in escapes."""
    name, _, value = text.partition("=")
    manner = _manner(unquote_plus(name)[_SHOWN])
    return f"{name}={manner(unquote_plus(value))}" if manner else text[:LONGEST_TEXT]


def _headers(asked: Request) -> dict[str, list[str]]:
    """By WSGI's own names, since Werkzeug would spell and check each header anew."""
    environ = asked.environ
    return {
        name: [written(value)]
        for variable, name, written in _headers_among(tuple(environ))
        if (value := environ[variable])
    }


@lru_cache(maxsize=32)  # each may be as long as the headers of a request
def _headers_among(variables: tuple[str, ...]) -> list[tuple[str, str, Callable[[str], str]]]:
    """Of each variable that is a header: itself, the header's name, and how its value is written.

    Clients send the same headers with each request, so this is worked out once for each kind.
    """
    return [
        (variable, name := variable.removeprefix("HTTP_").replace("_", "-").title(), _written(name))
        for variable in variables
        if variable in {"CONTENT_TYPE", "CONTENT_LENGTH"} or variable.startswith("HTTP_")
    ]


def _written(header: str) -> Callable[[str], str]:
    if header.lower() in SECRETS:
        return _nothing
    return _address if header.lower() in ADDRESSES else _beginning


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
