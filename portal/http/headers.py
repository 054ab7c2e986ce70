"""Response headers, the content security policy, and limits on cookies, bodies and hosts."""

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache, partial
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Flask, Request, current_app, request, session
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest
from werkzeug.sansio.utils import host_is_trusted
from werkzeug.utils import cached_property

from portal.config import Settings
from portal.domain.errors import BadInput, ForeignOrigin
from portal.extensions import csrf
from portal.http.redaction import is_secret

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    # After sign-out, neither Back nor a shared cache may show a page with codes again.
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Browsers never display API responses, so their policy allows nothing.
OF_JSON = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
OF_PAGES = HEADERS | {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# For pages whose URL is a secret: a mailed link, a link with a code, a search.
OF_SECRET_PAGES = OF_PAGES | {"Referrer-Policy": "no-referrer"}
JSON = ("Content-Type", "application/json")
LARGEST_BODY = 1024 * 1024  # bytes
LARGEST_UPLOAD = 6 * 1024 * 1024  # bytes; leaves room to report a file that is slightly too large
# For responses whose URL changes with their content.
CONTENT_FOR_EVER = "public, max-age=31536000, immutable"


class CarefulRequest(Request):
    """A request that answers malformed queries with 400, and limits chunked bodies."""

    @cached_property
    def args(self) -> MultiDict[str, str]:
        """The query; raises `BadRequest` if it is not UTF-8, where Werkzeug would fail."""
        try:
            return super().args
        except UnicodeDecodeError as error:
            raise BadRequest from error

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body, limited to `LARGEST_BODY` or the view's own limit.

        A chunked body over the limit raises `RequestEntityTooLarge`; Werkzeug would truncate it
        silently.
        """
        if largest := getattr(
            current_app.view_functions.get(self.endpoint or ""), "largest_body", 0
        ):
            # The log reads the body even if a guard rejected the request, so clients without a
            # session may send no more than a picture.
            known = "_user_id" in session
            self.max_content_length = largest if known else min(largest, LARGEST_UPLOAD)
        stream = super().stream
        if self.content_length is not None:
            return stream
        body = stream.read()
        stream.read(1)  # raises RequestEntityTooLarge at the limit
        return BytesIO(body)


def flask_config(settings: Settings) -> dict[str, object]:
    """Flask configuration for cookies, bodies and hosts."""
    return {
        "SESSION_COOKIE_NAME": "__Host-session" if settings.https else "session",
        "SESSION_COOKIE_SECURE": settings.https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        # The rows of the table `session` decide when a session ends, not the cookie.
        "PERMANENT_SESSION_LIFETIME": timedelta(days=31),
        "SESSION_REFRESH_EACH_REQUEST": False,
        "WTF_CSRF_CHECK_DEFAULT": False,  # `_refuse_strangers` checks, and skips GETs
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_SSL_STRICT": False,  # it requires a Referer, which some strip; Origin is checked
        "MAX_CONTENT_LENGTH": LARGEST_BODY,
        "MAX_FORM_MEMORY_SIZE": LARGEST_BODY,
        "MAX_FORM_PARTS": 200,
        "COMPRESS_MIMETYPES": ["text/html", "text/css", "text/javascript", "image/svg+xml"],
    }


def init_app(app: Flask) -> None:
    """Reject unknown hosts and foreign origins, and add the headers to every response."""
    app.request_class = CarefulRequest
    app.wsgi_app = _with_headers(app.wsgi_app, app.extensions["portal.settings"])  # type: ignore[method-assign, assignment]
    app.before_request(partial(_refuse_strangers, app.extensions["portal.settings"]))
    app.add_template_global(address_is_secret)


def address_is_secret() -> bool:
    """Whether the URL of this page is a secret, which must not leak to other requests.

    Such a page has the policy `no-referrer`. Its forms would then send the Origin `null`, so the
    page's head overrides it with `strict-origin`, by which browsers send our origin without the
    path.
    """
    return _has_secret_address(request)


def _has_secret_address(asked: Request) -> bool:
    rule, query = asked.url_rule, asked.query_string.decode(errors="replace")
    if rule is None or rule.endpoint == "static":
        return False
    return is_secret(asked.view_args or {}, query)


def _refuse_strangers(chosen: Settings) -> None:
    """Reject requests for other hosts, and forms of other sites.

    (Flask's TRUSTED_HOSTS leaves its error page without URLs.) Besides the CSRF token, the Origin
    is checked: browsers send one with every POST; API clients do not, and need no cookie either.
    """
    asked = request
    if not _is_ours(asked.host, chosen.public_url):
        raise BadInput("The portal does not answer to this name.")
    if asked.method in {"GET", "HEAD", "OPTIONS"}:
        return
    origin = asked.environ.get("HTTP_ORIGIN")
    if origin is not None and origin not in {asked.host_url.rstrip("/"), chosen.base_url}:
        raise ForeignOrigin
    csrf.protect(apply_exemptions=True)


@lru_cache(maxsize=64)
def _is_ours(host: str, public_url: str) -> bool:
    return not public_url or host_is_trusted(host, [urlsplit(public_url).hostname or ""])


def _with_headers(application: "WSGIApplication", chosen: Settings) -> "WSGIApplication":
    """Wrap `application` to add headers to every response, skipping Werkzeug's check of each."""
    transport = {"Strict-Transport-Security": "max-age=31536000"} if chosen.https else {}
    of_json = list((OF_JSON | transport).items())
    of_pages = list((OF_PAGES | transport).items())
    of_secret_pages = list((OF_SECRET_PAGES | transport).items())

    def with_headers(environ: "WSGIEnvironment", start_response: Any) -> Iterable[bytes]:
        def start(status: str, own: list[tuple[str, str]], error: Any = None) -> Any:
            said = {name for name, _ in own}  # a view's own headers win
            if "Cache-Control" in said and not _may_be_kept(environ, status, own):
                own = [one for one in own if one[0] != "Cache-Control"]
                said.discard("Cache-Control")
            asked = environ.get("werkzeug.request")
            headers = of_json if JSON in own else of_pages
            if headers is of_pages and asked is not None and _has_secret_address(asked):
                headers = of_secret_pages
            return start_response(
                status, own + [one for one in headers if one[0] not in said], error
            )

        return application(environ, start)

    return with_headers


def _may_be_kept(environ: "WSGIEnvironment", status: str, headers: list[tuple[str, str]]) -> bool:
    is_static = environ["PATH_INFO"].startswith("/static/")
    return status < "400" and (is_static or ("Cache-Control", CONTENT_FOR_EVER) in headers)
