"""Exits 0 if the portal in this container answers GET /healthz with 200.

It asks as the proxy would, so that neither a check of the host nor a redirect to https
stands between.
"""

import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

public = urlsplit(os.environ.get("PUBLIC_URL", "http://127.0.0.1:8000"))
connection = HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=4)
connection.request(
    "GET", "/healthz", headers={"Host": public.netloc, "X-Forwarded-Proto": public.scheme}
)
sys.exit(connection.getresponse().status != 200)
