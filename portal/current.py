"""The request and the app at work, themselves.

Flask's `request` and `current_app` look them up anew for each attribute, in half a dozen calls.
"""

from collections.abc import Callable
from http import HTTPMethod

from flask import Flask, Request, current_app
from flask import request as request_proxy

request: Callable[[], Request] = request_proxy._get_current_object  # type: ignore[attr-defined]
app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]


def method() -> str:
    """The method of this request; `OTHER` for one that HTTP does not define.

    Clients can invent methods without end, and hide a secret in one: neither metrics nor the log
    take them as they are.
    """
    name = request().method
    return name if name in HTTPMethod.__members__ else "OTHER"
