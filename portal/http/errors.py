"""Error responses for all fronts: a page, a fragment, or JSON."""

from collections.abc import Callable
from urllib.parse import urlencode

from flask import (
    Flask,
    Response,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_limiter import RateLimitExceeded
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from portal.clock import utcnow
from portal.db import session as db_session
from portal.domain import errors
from portal.domain.errors import LockedOut, PortalError
from portal.http.logs import log, request_id

STATUS: dict[type[PortalError], int] = {
    errors.NotFound: 404,
    errors.SignInRequired: 401,
    errors.SignInAgain: 401,
    errors.SessionEnded: 401,
    errors.SecondFactorDue: 403,
    errors.CodeRequired: 401,
    errors.TokenMissing: 401,
    errors.UnknownToken: 401,
    errors.NotAllowed: 403,
    errors.ForeignOrigin: 403,
    errors.RegistrationClosed: 403,
    errors.BadInput: 400,
    errors.LockedOut: 429,
    errors.AskedTooOften: 429,
    errors.TooManyUploads: 429,
    errors.DecodersBusy: 503,
}
SENTENCES = {
    400: "The portal could not make sense of that request.",
    403: "This is not open to you.",
    404: "There is nothing here. The address may be wrong, or the page may have moved.",
    405: "This address does not answer to that kind of request.",
    408: "That took too long to arrive. Please send it again.",
    413: "That is too much at once. Send less.",
    429: "Too many requests. Wait a minute, then go on.",
    500: "Something broke on our side. It has been written down; please try again.",
    503: "The portal cannot reach its database right now. Please try again in a moment.",
}
TITLES = {
    400: "That did not work",
    401: "Please sign in",
    403: "Not open to you",
    404: "Not found",
    405: "Not that way",
    408: "Too slow",
    413: "Too large",
    422: "That did not work",
    429: "Please wait",
    500: "Our mistake",
    503: "Back in a moment",
}


# Formats an error for one dialect, given the error and the HTTP status a page would have.
Dialect = Callable[[Exception, int], Response]


def init_app(app: Flask) -> None:
    """Register one handler for all errors; unknown ones reveal nothing about their cause."""
    app.extensions["portal.dialects"] = {}
    app.register_error_handler(Exception, _answer)


def speak(app: Flask, prefix: str, dialect: Dialect) -> None:
    """Format errors below the path `prefix` in that dialect instead of as a page."""
    app.extensions["portal.dialects"][prefix] = dialect


def status_of(error: Exception) -> int:
    """The HTTP status of an error; a `PortalError` not listed in `STATUS` is a 422."""
    if isinstance(error, PortalError):
        return STATUS.get(type(error), 422)
    if isinstance(error, CSRFError):
        return 400
    if isinstance(error, HTTPException):
        return error.code or 500
    return 503 if isinstance(error, (OperationalError, PoolTimeout)) else 500


def _answer(error: Exception) -> ResponseReturnValue:
    """Roll back, and respond in the format the caller expects."""
    db_session.abandon()
    status = status_of(error)
    if isinstance(error, HTTPException) and status < 400:
        return error
    if status >= 500 and not isinstance(error, PortalError):
        log.error("fault", id=request_id(), error=type(error).__name__, exc_info=error)
    for prefix, dialect in current_app.extensions["portal.dialects"].items():
        if request.path.startswith(prefix):
            return _with_headers(dialect(error, status), error)
    return _with_headers(_for_people(error, status), error)


def _with_headers(response: Response, error: Exception) -> Response:
    if isinstance(error, LockedOut):
        response.headers["Retry-After"] = str(error.seconds_left(utcnow()))
    if isinstance(error, errors.TooManyUploads):
        response.headers["Retry-After"] = "3600"
    if isinstance(error, RateLimitExceeded):
        response.headers["Retry-After"] = str(error.limit.limit.get_expiry())
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"
    if isinstance(error, HTTPException):
        for name, value in error.get_headers():
            if name in {"Allow", "Retry-After"}:
                response.headers[name] = value
    return response


def _for_people(error: Exception, status: int) -> Response:
    if isinstance(error, errors.SecondFactorDue):
        return _elsewhere(url_for("second_factors.index"))
    if isinstance(error, (errors.SignInAgain, errors.SessionEnded)):
        flash(str(error), "warn")
    if isinstance(error, errors.SignInRequired):
        return _elsewhere(_login_url(error))
    if isinstance(error, errors.CodeRequired):
        return _elsewhere(url_for("landing.index"))
    if isinstance(error, LockedOut) and _wants_page():
        left = error.until - utcnow()
        page = render_template("errors/locked.html", until=error.until, left=left)
        return make_response(page, status)
    page = render_template(
        "errors/error.html" if _wants_page() else "errors/_error.html",
        status=status,
        title=TITLES.get(status, "That did not work"),
        sentence=_sentence(error, status),
        request_id=request_id(),
    )
    return make_response(page, status)


def _sentence(error: Exception, status: int) -> str:
    if isinstance(error, PortalError):
        return str(error)
    if isinstance(error, CSRFError):
        return "This form has grown old, or cookies are off. Open the page again."
    return SENTENCES.get(status, "That did not work.")


def _elsewhere(target: str) -> Response:
    """Redirect a page; a fragment gets 401 and `HX-Redirect`, so that htmx loads the whole page."""
    if _wants_page():
        return make_response(redirect(target, 303))
    response = make_response("", 401)
    response.headers["HX-Redirect"] = target
    return response


def _login_url(error: errors.SignInRequired) -> str:
    """The sign-in URL, with the requested page as the one to return to."""
    if request.method != "GET" or not _wants_page():
        changing = isinstance(error, errors.SignInAgain)
        return url_for("auth.login", next=url_for(".index") if changing else None)
    if request.path.startswith(url_for("auth.login")):  # a second step without its first
        return url_for("auth.login")
    query = "?" + urlencode(request.args) if request.args else ""
    return url_for("auth.login", next=request.path + query)


def _wants_page() -> bool:
    return "HX-Request" not in request.headers or "HX-History-Restore-Request" in request.headers
