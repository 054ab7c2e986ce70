"""The API reference: as an OpenAPI document, and as a page generated from it."""

from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from portal.config import settings
from portal.http.guards import public

blueprint = Blueprint("docs", __name__)


@blueprint.get("/api/openapi.json")
@public
def document() -> Response:
    """This description of the API, in OpenAPI 3.1."""
    return jsonify(_description())


@blueprint.get("/api/docs")
@public
def page() -> str:
    """The same description as a page, with examples that run as they stand."""
    return render_template(
        "docs/page.html",
        document=_description(),
        curl=render_template("docs/start.sh", url=settings.base_url),
        python=render_template("docs/start.py", url=settings.base_url),
    )


def _description() -> dict[str, Any]:
    from portal.api.openapi import document as openapi  # noqa: PLC0415 - large, seldom requested

    return openapi.document()
