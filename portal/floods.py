"""Floods: how often one network may ask for one thing, be it right or wrong.

Flask-Limiter counts in Redis when there is one, and goes on in memory while Redis is away. Without
Redis each process counts for itself, and asks Flask-Limiter's storage directly: its hooks weigh
more than a query, on every request.
"""

from flask import Flask, current_app
from flask_limiter import ExemptionScope
from limits import parse
from werkzeug.exceptions import TooManyRequests

from portal.config import Settings
from portal.extensions import flood_scope, limiter, lockout, requesting_network
from portal.limits_storage import Limit


def init_app(app: Flask) -> None:
    """Refuse whoever asks too often."""
    settings: Settings = app.extensions["portal.settings"]
    # Flask-Limiter leaves its hooks out for limiters that the app knows already. The lockout needs
    # none: only the verbs count there.
    app.extensions["limiter"] = {lockout}
    if not settings.redis_url.get_secret_value():
        app.extensions["limiter"].add(limiter)
        app.before_request(Floods(Limit(parse(settings.flood_limit))).count)
    for known in (limiter, lockout):
        known.init_app(app)


class Floods:
    """The one limit, and the endpoints that are exempt from it (`limiter.exempt`)."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._is_exempt: dict[str, bool] = {}

    def count(self) -> None:
        """Count this request; raise `TooManyRequests` if it is one too many."""
        scope = flood_scope()
        if scope not in self._is_exempt:
            self._is_exempt[scope] = _is_exempt(scope)
        if self._is_exempt[scope]:
            return
        key = self._limit.key_for(f"{requesting_network()}/{scope}")
        if limiter.limiter.storage.incr(key, self._limit.expiry) > self._limit.amount:
            raise TooManyRequests(retry_after=self._limit.expiry)


def _is_exempt(endpoint: str) -> bool:
    blueprint = endpoint.rpartition(".")[0] or None
    scope = limiter.limit_manager.exemption_scope(current_app, endpoint, blueprint)
    return endpoint == "static" or ExemptionScope.DEFAULT in scope
