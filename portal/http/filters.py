"""How values are shown in templates: times, counts, and the SVG of a QR code."""

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
    """A `<time>` in UTC, which `portal.js` turns into the reader's own zone."""
    if value is None:
        return otherwise
    iso = value.isoformat(timespec="seconds").replace("+00:00", "Z")
    shown = value.strftime("%-d %b %Y" if form == "day" else "%-d %b %Y, %H:%M UTC")
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(iso, form, shown)


def duration(value: timedelta) -> str:
    """A duration as people say it: `30 minutes`, `59 seconds`."""
    seconds = int(value.total_seconds())
    count, unit = (seconds, "second") if seconds < 60 else (-(-seconds // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 use`, `2 uses`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def paragraphs(text: str) -> list[list[str]]:
    """The paragraphs of plain text, each a list of its lines."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


@lru_cache(maxsize=1024)
def linked(line: str) -> Markup:
    """The line with what looks like an address made a link. Mails of a batch share their lines."""
    return Markup(urlize(line, rel="noopener"))  # noqa: S704 - it escapes what it is given


def qr(text: str) -> Markup:
    """The QR code of `text` as an inline SVG: black, for scanners want contrast."""
    picture = segno.make(text, error="m", micro=False)
    return Markup(  # noqa: S704 - segno draws squares; the text is not in its output
        picture.svg_inline(border=2, omitsize=True, svgclass="qr")
    )


def browser(client: str | None) -> str:
    """What a User-Agent header calls itself, short enough to be read."""
    if not client:
        return "an unknown program"
    for name in ("Edg", "OPR", "Firefox", "CriOS", "FxiOS", "Chrome", "Safari"):
        if f"{name}/" in client:
            return BROWSERS.get(name, name)
    return client.partition(" ")[0][:40]


def init_app(app: Flask) -> None:
    """Make them known to Jinja."""
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
