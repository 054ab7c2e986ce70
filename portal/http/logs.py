"""Logs: one JSON object a line on standard output, in the fields of the invitations contract.

`redaction.py` decides which parts of a request may be logged. Exceptions and library records are
logged without their messages, which may quote request data.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog
from flask import Flask, Request, Response, request
from flask.logging import default_handler
from uuid_utils import uuid4
from werkzeug.exceptions import HTTPException

from portal.clock import utcnow
from portal.http.json import Encoder
from portal.http.redaction import (
    HEADERS,
    described,
    known_method,
    redacted,
    redacted_header,
    redacted_path,
    redacted_query,
    redacted_route,
)

REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
# In our responses, these hold our own sentences.
SAID = frozenset({"message", "msg"})
SERVER_FOR_DEVELOPMENT = "werkzeug"

JSON = Encoder(default=repr, utc="Z")

log = structlog.get_logger()


def init_app(app: Flask) -> None:
    """Configure structlog, and log a line for each request."""
    chosen = app.extensions["portal.settings"]
    least = logging.getLevelNamesMapping()[chosen.log_level]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.ExceptionRenderer(without_messages),
            structlog.processors.EventRenamer("msg"),
            structlog.processors.JSONRenderer(lambda event, **_: JSON.encode(event)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.BytesLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    app.after_request(partial(_write, least))
    for name in ("gunicorn.error", SERVER_FOR_DEVELOPMENT):
        logging.getLogger(name).addFilter(hide_values)
    default_handler.addFilter(hide_values)
    if logging.lastResort:  # handles the records of other libraries
        logging.lastResort.addFilter(hide_values)


def request_id() -> str:
    """The id of this request: the client's own if it is well-formed, else a new one."""
    environ = request.environ
    known: str | None = environ.get("portal.request_id")
    if known is None:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        known = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        environ["portal.request_id"] = known
    return known


def without_messages(
    exc_info: tuple[type[BaseException], BaseException, TracebackType | None],
) -> str:
    """The traceback of an exception and its causes, with exception types but no messages."""
    return "".join(_frames(exc_info[1]))


def hide_values(record: logging.LogRecord) -> bool:
    """A filter that passes every library record, with request data removed.

    Warnings quote request data, and so does each line of the development server, either as
    arguments or in the message itself. A warning without arguments is reduced to the exception it
    is about, or to where it was logged.
    """
    if record.levelno < logging.WARNING and record.name != SERVER_FOR_DEVELOPMENT:
        return True
    if isinstance(record.args, Mapping):
        record.args = {name: described(each) for name, each in record.args.items()}
    elif record.args:
        record.args = tuple(
            each if isinstance(each, int) else described(each) for each in record.args
        )
    elif record.levelno >= logging.WARNING:
        handled = sys.exc_info()[0]
        place = f"{Path(record.pathname).stem}.{record.funcName}:{record.lineno}"
        record.msg = handled.__name__ if handled else place
    if record.exc_info and record.exc_info[1]:
        record.exc_text = without_messages(record.exc_info)
    return True


def answered(body: object) -> None:
    """Pass a JSON response to the log, so that it need not parse the response again."""
    request.environ["portal.answered"] = body


def _write(least: int, response: Response) -> Response:
    asked = request
    response.headers.add("X-Request-ID", request_id())
    level = logging.ERROR if response.status_code >= 400 else logging.INFO
    if asked.endpoint != "static" and level >= least:
        # Bypasses structlog's processors, which would take most of the time here.
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
            "method": known_method(),
            "url": _url(asked),
            "header": _headers(asked),
            "body": _body(asked),
        },
        "response": redacted(body, said=SAID) if body else body,
        "statusCode": response.status_code,
        "level": "error" if level == logging.ERROR else "info",
        "time": utcnow(),
        "msg": _message(response, body),
    }


def _message(response: Response, body: object) -> str:
    if isinstance(body, dict):
        for name in SAID:
            if name in body:
                return str(body[name])
    return HTTPStatus(response.status_code).phrase


def _url(asked: Request) -> str:
    if asked.url_rule is None:
        path = redacted_path(asked.path)
    else:
        path = redacted_route(asked.url_rule, asked.view_args or {})
    query = asked.query_string
    return path + redacted_query(query.decode(errors="replace")) if query else path


def _headers(asked: Request) -> dict[str, list[str]]:
    """The headers from the WSGI environment, since Werkzeug would convert and check each again."""
    environ = asked.environ
    return {
        shown: [redacted_header(name, environ[variable])]
        for variable, name, shown in _headers_among(tuple(environ))
        if environ[variable]
    }


@lru_cache(maxsize=32)  # each entry may be as long as the headers of a request
def _headers_among(variables: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """The WSGI variables that are headers: variable, header name, and the name as logged.

    Cached per set of variables, since clients send the same headers with each request.
    """
    return [
        (variable, name, name if name in HEADERS else described(name))
        for variable in variables
        if variable in {"CONTENT_TYPE", "CONTENT_LENGTH"} or variable.startswith("HTTP_")
        for name in [variable.removeprefix("HTTP_").replace("_", "-").title()]
    ]


def _body(asked: Request) -> Any:
    """The body, if it is JSON or a form and not too large; reads it even if the view did not."""
    if not asked.environ.get("CONTENT_TYPE"):
        return None
    try:
        if asked.is_json:
            return redacted(asked.get_json(silent=True))
        return redacted(asked.form.to_dict()) if asked.form else None
    except HTTPException:
        return None


def _frames(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield f"{type(error).__module__}.{type(error).__qualname__}\n"
        yield from traceback.format_tb(error.__traceback__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
