"""The rate limit: how often one network may request one endpoint, successful or not.

Counted in Redis if configured, else per process; losing the counters is harmless. The lockout,
whose counters must not be lost, keeps them in the database (`domain/lockout/counters.py`).
"""

from flask import request
from flask_limiter import Limiter

from portal.domain.client import network_of


def requesting_network() -> str:
    """The client's network; a /64 for IPv6, since one client can use all of its 2^64 addresses."""
    return network_of(request.remote_addr or "")


def request_scope() -> str:
    """The rate-limit scope of a request: its endpoint, or one shared by all unmatched URLs."""
    return request.endpoint or "unmatched"


limiter = Limiter(requesting_network, strategy="fixed-window", request_identifier=request_scope)
