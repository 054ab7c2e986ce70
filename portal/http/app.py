"""The Flask application, without the per-request work that this portal does not need."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.json.provider import DefaultJSONProvider
from flask.sansio.app import App
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from werkzeug.routing import IntegerConverter, Map

from portal.http.json import Encoder

LARGEST_INTEGER = 2**31 - 1


class CookieSessions(SecureCookieSessionInterface):
    """Flask's sessions, skipping the work for requests that neither bring nor begin a session."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session in the cookie, or an empty one."""
        if self.get_cookie_name(app) not in request.environ.get("HTTP_COOKIE", ""):
            return self.session_class()
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the cookie if the session was accessed."""
        if session or session.accessed:
            super().save_session(app, session, response)


class Json(DefaultJSONProvider):
    """Flask's JSON provider with fields in document order and safe parsing of deep nesting.

    It keeps one encoder, where Flask would make one for each response.
    """

    sort_keys = False

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self._encoder = Encoder(self.default)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Parse `s`; raises `ValueError` for invalid JSON or JSON nested too deeply."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """A JSON response of one value, or of the given fields."""
        body = self._encoder.encode(self._prepare_response_obj(args, kwargs))
        return Response(body + b"\n", content_type="application/json")


class BoundedInteger(IntegerConverter):
    """`<int:…>`: ASCII digits up to the largest database integer; any other path is a 404."""

    regex = "[0-9]{1,10}"

    def __init__(self, map: Map, **options: Any) -> None:
        super().__init__(map, **({"max": LARGEST_INTEGER} | options))


class Portal(Flask):
    """Flask with this portal's session, JSON and URL handling."""

    json_provider_class = Json
    session_interface = CookieSessions()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.url_map.converters["int"] = BoundedInteger

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` unchanged: nothing here is a coroutine, and the check costs time."""
        return func
