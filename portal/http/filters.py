"""Template filters: times, durations, counts, links, and QR codes as SVG."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import segno
from flask import Flask
from jinja2.utils import urlize
from markupsafe import Markup

from portal.clock import utcnow

BROWSERS = {"Edg": "Edge", "OPR": "Opera", "CriOS": "Chrome", "FxiOS": "Firefox"}


def moment(value: datetime | None, form: str = "full", otherwise: str = "never") -> Markup | str:
    """A `<time>` in UTC, which `portal.js` converts to the reader's time zone."""
    if value is None:
        return otherwise
    iso = value.isoformat(timespec="seconds").replace("+00:00", "Z")
    shown = value.strftime("%-d %b %Y" if form == "day" else "%-d %b %Y, %H:%M UTC")
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(iso, form, shown)


def duration(value: timedelta) -> str:
    """A duration in words: `30 minutes`, `59 seconds`."""
    seconds = int(value.total_seconds())
    count, unit = (seconds, "second") if seconds < 60 else (-(-seconds // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 use`, `2 uses`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def paragraphs(text: str) -> list[list[str]]:
    """Split plain text into paragraphs, each a list of lines."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


@lru_cache(maxsize=1024)
def linked(line: str) -> Markup:
    """The line with URLs turned into links."""
    return Markup(urlize(line, rel="noopener"))  # noqa: S704 - urlize escapes its input


def qr(text: str) -> Markup:
    """The QR code of `text` as an inline SVG, in black since scanners need contrast."""
    picture = segno.make(text, error="m", micro=False)
    return Markup(  # noqa: S704 - segno draws squares; the text is not in its output
        picture.svg_inline(border=2, omitsize=True, svgclass="qr")
    )


def browser(client: str | None) -> str:
    """A short browser name from a User-Agent header."""
    if not client:
        return "an unknown program"
    for name in ("Edg", "OPR", "Firefox", "CriOS", "FxiOS", "Chrome", "Safari"):
        if f"{name}/" in client:
            return BROWSERS.get(name, name)
    return client.partition(" ")[0][:40]


def init_app(app: Flask) -> None:
    """Register the filters with Jinja."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    filters: dict[str, Any] = {
        "moment": moment,
        "duration": duration,
        "plural": plural,
        "paragraphs": paragraphs,
        "linked": linked,
        "qr": qr,
        "browser": browser,
    }
    app.jinja_env.filters.update(filters)
    app.add_template_global(utcnow)
