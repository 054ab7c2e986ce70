"""The rate limit of requests: how often one network may ask for one thing, be it right or wrong.

Counted in Redis where there is one, else in each process; losing it is harmless. The lockout, which
must hold, is counted in the portal's database (`domain/counters.py`).
"""

from flask import request
from flask_limiter import Limiter

from portal.domain.client import network_of


def requesting_network() -> str:
    """The network a request comes from: whoever holds an IPv6 /64 has 2^64 addresses."""
    return network_of(request.remote_addr or "")


def request_scope() -> str:
    """What a request counts for: its endpoint, or one scope for all that matches no route."""
    return request.endpoint or "unmatched"


limiter = Limiter(requesting_network, strategy="fixed-window", request_identifier=request_scope)
