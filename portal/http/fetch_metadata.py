"""Fetch Metadata: reject requests that pages of other sites trigger.

Browsers say with each request what caused it (https://www.w3.org/TR/fetch-metadata/), and scripts
cannot change that. Other sites may link to the portal, and nothing else: their scripts, images and
frames could only use up the attempts of their visitors. So such requests are rejected before
anything is counted.
"""

from typing import TYPE_CHECKING

from flask import Flask, request

from portal.domain.errors import ForeignOrigin

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


def init_app(app: Flask) -> None:
    """Reject requests caused by a page of another site, unless the user followed a link."""
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
        and "HTTP_SEC_PURPOSE" not in environ  # a page may prefetch any number of links
    )
