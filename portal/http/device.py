"""The device cookie: a signed random id of this browser, which cannot be forged.

It says nothing about the person; the lockout and the ledger count by it.
"""

from uuid import uuid4

from flask import Response, after_this_request, g, request
from itsdangerous import BadSignature, URLSafeSerializer

from portal.config import settings
from portal.domain.client import Origin
from portal.domain.crypto import keys

LONGEST = 400 * 24 * 3600  # seconds; browsers cap cookies at 400 days (RFC 6265bis)


def origin() -> Origin:
    """The origin of this browser request; a browser without a cookie counts as a new device."""
    if "device" not in g:
        g.device = _read() or _new()
    return Origin(
        device=f"browser:{g.device}",
        address=request.remote_addr or "",
        client=request.user_agent.string,
    )


def _new() -> str:
    after_this_request(_write)
    return uuid4().hex


def _read() -> str | None:
    try:
        return str(_serializer().loads(request.cookies.get(_name(), "")))
    except BadSignature:
        return None


def _write(response: Response) -> Response:
    response.set_cookie(
        _name(),
        _serializer().dumps(g.device),
        max_age=LONGEST,
        secure=settings.https,
        httponly=True,
        samesite="Lax",
    )
    return response


def _serializer() -> URLSafeSerializer:
    signing_keys = [key.hex() for key in reversed(keys.derive_all("device cookie"))]
    return URLSafeSerializer(signing_keys, salt="device")


def _name() -> str:
    return "__Host-device" if settings.https else "device"
