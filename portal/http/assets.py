"""Static files, cached for a year since their URL changes with their content."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from flask import Flask, Response, url_for
from flask_compress import Compress

from portal.config import ROOT

A_YEAR = 365 * 24 * 3600  # seconds


def asset(name: str) -> str:
    """The URL of `static/<name>`, with the digest of its content."""
    path = ROOT / "static" / name
    return url_for("static", filename=name, v=_digest(path, path.stat().st_mtime_ns))


def init_app(app: Flask) -> None:
    """Compress static files, and make `asset` available to templates."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = A_YEAR
    app.config["COMPRESS_REGISTER"] = False
    compress = Compress(app)

    @app.after_request
    def _compress(response: Response) -> Response:
        # Skip JSON: Flask-Compress takes time even to find that it is not compressible.
        return response if response.is_json else compress.after_request(response)

    app.add_template_global(asset)


@lru_cache(maxsize=256)
def _digest(path: Path, _modified: int) -> str:
    return sha256(path.read_bytes()).hexdigest()[:10]
