"""The request and the app at work, themselves.

Flask's `request` and `current_app` look them up anew for each attribute, in half a dozen calls.
"""

from collections.abc import Callable

from flask import Flask, Request, current_app
from flask import request as request_proxy

request: Callable[[], Request] = request_proxy._get_current_object  # type: ignore[attr-defined]
app: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]
