"""Redaction: which parts of a request may be logged.

A value is logged if its field is known to be harmless and it has the expected shape; anything
else appears as its type and length, `<str 32>`. Unknown names are redacted too, since a secret
can be sent as a name. A URL is logged by its route, never by its raw path.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from http import HTTPMethod
from ipaddress import ip_address
from itertools import islice
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit
from uuid import UUID

from flask import current_app, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Rule

from portal.config import current_settings

LONGEST_TEXT, LONGEST_ADDRESS = 200, 2000  # characters
LONGEST_LIST, LONGEST_OBJECT, DEEPEST = 3, 50, 5

# Fields of forms, queries and JSON whose values are not secret, if they have the expected shape.
HARMLESS = frozenset(
    {"id", "ids", "subject", "batch", "created_by", "user_id"}
    | {"page", "size", "total_page", "total_record", "days", "expires_in_days", "reminder_days"}
    | {"max_uses", "uses", "before", "after", "timestamp", "type", "error_code", "sysadmin"}
    | {"created_at", "expired_at", "expires_at", "expiredAt", "starts_at", "at", "since", "until"}
    | {"starts", "ends", "validity", "status", "state", "sort", "format", "role", "grants_role"}
    | {"scope", "show", "required", "language", "again", "end_sessions", "success"}
)
# Fields whose names are logged, but not their values.
NAMED = frozenset(
    {"data", "Data", "detail", "message", "msg", "paginations", "next_cursor", "cursor", "q"}
    | {"redemptions", "sessions_ended", "user", "action", "actor", "next", "csrf_token"}
    | {"email", "identity", "username", "name", "first_name", "last_name", "firstname", "lastname"}
    | {"phone", "phonenumber", "avatar", "image_file", "picture", "file", "pasted", "zone"}
    | {"password", "password_re", "confirm_password", "current_password", "confirmation"}
    | {"code", "codes", "own_code", "invitation_code", "recovery_code", "credential", "invitation"}
    | {"token", "token_access", "token_refresh", "user_token", "uuid", "client_id", "key"}
    | {"mailed_code", "proof", "end_tokens"}
    | {"label", "recipient", "recipient_name", "reason", "mailed", "bucket", "device"}
)
NAMES = HARMLESS | NAMED
# Our own values for states, roles, formats and choices.
WORDS = frozenset(
    {"active", "in_active", "used", "expired", "revoked", "scheduled", "deactivated"}
    | {"waiting", "sent", "failed", "approved", "declined", "accepted", "ok", "error"}
    | {
        "member",
        "viewer",
        "admin",
        "owner",
        "read",
        "issue",
        "sign-in",
        "manage",
        "internal",
        "bearer",
    }
    | {"csv", "xlsx", "json", "en", "id", "on", "off", "yes", "no", "true", "false"}
    | {"issued", "date", "days", "never", "one", "several", "unlimited"}
)
# The shape of numbers, ids and times.
SHAPE = re.compile(
    r"[0-9]{1,9}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{5,15}(?:Z|[+-][0-9]{2}:[0-9]{2})?)?",
    re.ASCII,
)
LARGEST_NUMBER = 10**10  # larger than a time in Unix seconds

PLACEHOLDER = re.compile(r"<(?:[^:<>]+:)?(\w+)>")
PRODUCT = re.compile(r"(?<!\S)[A-Za-z-]{2,24}/[0-9]{1,4}(?:\.[0-9]{1,6}){0,4}(?!\S)")


def known_method() -> str:
    """The method of this request, or `OTHER` for one that HTTP does not define.

    Clients can invent any number of methods, and hide a secret in one, so unknown methods appear
    neither in metrics nor in the log.
    """
    return request.method if request.method in HTTPMethod.__members__ else "OTHER"


def redacted(value: Any, name: str = "", said: frozenset[str] = frozenset(), depth: int = 0) -> Any:
    """Redact `value` of the field `name`, recursively. Text in `said` fields is our own."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT] if name in said else redacted_text(value, name)
    if value is None or isinstance(value, bool) or (name in HARMLESS and _is_harmless(value)):
        return value
    if isinstance(value, dict) and depth < DEEPEST:
        return {
            (key if key in NAMES else described(key)): redacted(item, key, said, depth + 1)
            for key, item in islice(value.items(), LONGEST_OBJECT)
        }
    if isinstance(value, list) and depth < DEEPEST:
        return [redacted(item, name, said, depth + 1) for item in value[:LONGEST_LIST]]
    return described(value)


def redacted_text(text: str, name: str) -> str:
    """Redact the text of one field of a form, a query, or JSON."""
    if not text or (name in HARMLESS and (text in WORDS or SHAPE.fullmatch(text))):
        return text
    if name == "next":  # where to go after sign-in; its query may contain a code
        return redacted_path(text.partition("?")[0])
    return described(text)


def described(value: Any) -> str:
    """The type of a value, and its length if it has one: `<str 32>`, `<int>`."""
    if isinstance(value, str):
        return f"<str {len(value)}>"
    kind = type(value).__name__
    return f"<{kind} {len(value)}>" if hasattr(value, "__len__") else f"<{kind}>"


def redacted_query(query: str) -> str:
    """A redacted query string with its `?`; empty for an empty one."""
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query[:LONGEST_ADDRESS].split("&")[:LONGEST_OBJECT])
    fields = ((unquote_plus(name), unquote_plus(value)) for name, _, value in pairs)
    return "?" + "&".join(
        f"{name if name in NAMES else described(name)}={redacted_text(value, name)}"
        for name, value in fields
    )


def redacted_path(path: str) -> str:
    """A path as the route it matches with any method: `/activation/<str 43>`."""
    routes = current_app.url_map.bind("")
    try:
        try:
            rule, values = routes.match(path, method="GET", return_rule=True)
        except MethodNotAllowed as error:
            (method, *_) = error.valid_methods or ["GET"]
            rule, values = routes.match(path, method=method, return_rule=True)
    except HTTPException:  # no such page, or a redirect to one
        return f"<unmatched {len(path)}>"
    return redacted_route(rule, values)


def redacted_route(rule: Rule, values: Mapping[str, Any]) -> str:
    """A matched path, with only ids, numbers and known words of its values shown."""
    if not values:
        return rule.rule
    return _template(rule.rule).format_map(
        {name: _segment(value) for name, value in values.items()}
    )


def is_secret(values: Mapping[str, Any], query: str) -> bool:
    """Whether a URL may hold a secret, given the values in its path and its query.

    It may unless it can be logged unredacted.
    """
    if any(_segment(value) != str(value) for value in values.values()):
        return True
    return redacted_query(query)[1:] != unquote_plus(query)


def redacted_header(name: str, value: str) -> str:
    """The redacted value of a header; `name` is in title case."""
    write: Callable[[str], str] = HEADERS.get(name, described)
    return write(value)


def _is_harmless(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) < LARGEST_NUMBER
    return isinstance(value, (datetime, UUID))


@lru_cache(maxsize=1024)
def _template(rule: str) -> str:
    """A URL rule as a format string: `/a/{id}` for `/a/<uuid:id>`."""
    return PLACEHOLDER.sub(r"{\1}", rule)


def _segment(value: Any) -> str:
    return str(value) if isinstance(value, (int, UUID)) or value in WORDS else described(value)


def _word(text: str) -> str:
    return text if text in HEADER_WORDS else described(text)


def _number(text: str) -> str:
    return text if text.isdecimal() and text.isascii() and len(text) < 10 else described(text)


def _media_type(text: str) -> str:
    """The media type without its parameters, since the client chooses the multipart boundary."""
    kind = text.partition(";")[0].strip().lower()
    return kind if kind in MEDIA_TYPES else described(text)


@lru_cache(maxsize=256)
def _products(text: str) -> str:
    """The products of a User-Agent and their versions, without comments."""
    return " ".join(PRODUCT.findall(text[:LONGEST_TEXT])) or described(text)


def _own_host(text: str) -> str:
    return text if text == urlsplit(current_settings().base_url).netloc else described(text)


def _addresses(text: str) -> str:
    """A comma-separated list of IP addresses, if it is valid."""
    try:
        return ", ".join(str(ip_address(each.strip())) for each in text[:LONGEST_TEXT].split(","))
    except ValueError:
        return described(text)


def _page(text: str) -> str:
    """A URL of this portal, without the host."""
    try:
        parts = urlsplit(text[:LONGEST_ADDRESS])
    except ValueError:  # such as http://[x
        return described(text)
    if parts.netloc != request.environ.get("HTTP_HOST"):
        return described(text)
    return redacted_path(unquote(parts.path)) + redacted_query(parts.query)


HEADER_WORDS = frozenset(
    {"*/*", "1", "?0", "?1", "application/json", "close", "cors", "cross-site", "document", "empty"}
    | {"font", "gzip", "gzip, deflate", "gzip, deflate, br", "gzip, deflate, br, zstd", "http"}
    | {"https", "iframe", "image", "keep-alive", "max-age=0", "mobile-application", "navigate"}
    | {"no-cache", "no-cors", "no-store", "none", "prefetch", "same-origin", "same-site", "script"}
    | {"style", "true", "XMLHttpRequest"}
)
MEDIA_TYPES = {
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/plain",
}
# Every header whose name is logged, with the function that redacts its value.
HEADERS: dict[str, Callable[[str], str]] = {
    "Content-Length": _number,
    "Content-Type": _media_type,
    "Host": _own_host,
    "Hx-Current-Url": _page,
    "Origin": _page,
    "Referer": _page,
    "User-Agent": _products,
    "X-Forwarded-For": _addresses,
}
for _name in (
    *("Accept", "Accept-Encoding", "Cache-Control", "Connection", "Dnt", "Pragma"),
    *("Hx-Boosted", "Hx-History-Restore-Request", "Hx-Request", "Mobile-App"),
    *("Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Sec-Purpose"),
    *("Upgrade-Insecure-Requests", "X-Forwarded-Proto", "X-Requested-With"),
):
    HEADERS[_name] = _word
for _name in (
    *("Accept-Language", "Authorization", "Cookie", "Device-Id", "Deviceid", "Idempotency-Key"),
    *("If-None-Match", "Secret-Token", "X-Csrftoken", "X-Forwarded-Host", "X-Request-Id"),
):
    HEADERS[_name] = described
