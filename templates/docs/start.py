import json
from urllib.request import Request, urlopen

PORTAL = "{{ url }}"


def ask(path, body=None, method=None, **headers):
    """Send a request; return the data of the answer. A refusal raises urllib.error.HTTPError."""
    content = None if body is None else json.dumps(body).encode()
    headers["Content-Type"] = "application/json"
    request = Request(PORTAL + path, content, headers, method=method)
    with urlopen(request) as answer:
        return json.load(answer)["data"]


credentials = {"email": "olivia@example.org", "password": "correct horse battery"}
again = {"username": "olivia", "confirm_password": credentials["password"]}
ask("/api/v1/admin/register", credentials | again)

token = ask("/api/v1/admin/login", credentials)["token"]
signed_in = {"Authorization": f"Bearer {token}"}

terms = {"label": "Open day", "max_uses": 2, "expires_in_days": 30}
once = {"Idempotency-Key": "open day, first code"}
code = ask("/api/v1/admin/invitation/generate", terms, **signed_in, **once)["code"]

print(ask(f"/api/v1/invitation/{code}"))
print(ask(f"/api/v1/user/login/{code}", method="POST", deviceId="a-phone"))
print(ask("/api/v1/admin/invitation/history?page=1&size=5", **signed_in))

# All of them, however many there are: each page gives out the cursor of the next.
cursor = ""
while cursor is not None:
    page = ask(f"/api/v1/admin/invitation/history?size=100&cursor={cursor}", **signed_in)
    for invitation in page["data"]:
        print(invitation["code"], invitation["status"])
    cursor = page["paginations"]["next_cursor"]
