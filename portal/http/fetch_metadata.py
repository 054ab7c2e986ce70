"""Fetch Metadata: what pages of other sites may have a browser ask of the portal.

Browsers say with each request who caused it (https://www.w3.org/TR/fetch-metadata/), and no script
can change that. Another site may link to the portal, and nothing else: its scripts, images and
frames could only spend the budgets of whoever looks at it. They are refused before anything counts.
"""

from typing import TYPE_CHECKING

from flask import Flask, request

from portal.domain.errors import ForeignOrigin

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


def init_app(app: Flask) -> None:
    """Refuse requests that a page of another site caused, unless somebody followed a link."""
    app.before_request(_refuse_subresources)


def _refuse_subresources() -> None:
    environ = request.environ
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site in {"cross-site", "same-site"} and not _follows_a_link(environ):
        raise ForeignOrigin("Another site asked for this. Open the portal itself.")


def _follows_a_link(environ: "WSGIEnvironment") -> bool:
    return (
        environ["REQUEST_METHOD"] in {"GET", "HEAD"}
        and environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
        and environ.get("HTTP_SEC_FETCH_DEST", "document") == "document"
        and "HTTP_SEC_PURPOSE" not in environ  # a page may prefetch as many links as it likes
    )
