"""Static files: cached for long, since their address changes with their content."""

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
    """Serve them compressed, and let templates name them by `asset`."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = A_YEAR
    app.config["COMPRESS_REGISTER"] = False
    compress = Compress(app)

    @app.after_request
    def _compress(response: Response) -> Response:
        # Only what browsers are sent; to find that JSON is none of it takes its time too.
        return response if response.is_json else compress.after_request(response)

    app.add_template_global(asset)


@lru_cache(maxsize=256)
def _digest(path: Path, _modified: int) -> str:
    return sha256(path.read_bytes()).hexdigest()[:10]
