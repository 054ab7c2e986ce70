"""Programs that speak the invitations dialect, each at an address of its own."""

import ssl
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

PASSWORD = "12345AA"  # the document's own
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # made once: httpx would make one for each client
PATIENCE = 60  # seconds
NO_KEEPALIVE = httpx.Limits(max_keepalive_connections=0)  # each request meets a worker by chance
ADMIN = "/api/v1/admin"
INVITATION = f"{ADMIN}/invitation"

_numbers = count(1)


@dataclass
class Program:
    """A client of the API: with a token, or without; it knows JSON and nothing else."""

    url: str
    token: str = ""
    address: str = field(default_factory=lambda: f"2001:db8:{next(_numbers):x}::1")

    def __post_init__(self) -> None:
        """Be at an address of one's own: the server trusts a proxy to say so."""
        self._http = httpx.Client(
            base_url=self.url,
            headers={"X-Forwarded-For": self.address},
            verify=TLS,
            trust_env=False,
            timeout=PATIENCE,
            limits=NO_KEEPALIVE,
        )

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """What is answered, which is JSON whatever was asked."""
        headers = dict(request.pop("headers", None) or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        answer = self._http.request(method, path, headers=headers, **request)
        assert answer.headers["Content-Type"] == "application/json", answer.text
        assert answer.status_code < 500, answer.text
        return answer

    def get(self, path: str, **request: Any) -> httpx.Response:
        """GET."""
        return self.ask("GET", path, **request)

    def post(self, path: str, **request: Any) -> httpx.Response:
        """POST."""
        return self.ask("POST", path, **request)

    def redeem(self, code: str, device: str) -> httpx.Response:
        """Sign a device in by a code."""
        return self.post(f"/api/v1/user/login/{code}", headers={"deviceId": device})

    def generate(self, **options: object) -> str:
        """A new code."""
        answer = self.post(f"{INVITATION}/generate", json=options)
        return str(data(answer)["code"])

    def history(self, **view: object) -> Any:
        """What the history answers: the paginations and the rows."""
        return data(self.get(f"{INVITATION}/history", params=view))

    def newest(self) -> str:
        """The id of the invitation issued last."""
        return str(self.history(size=1)["data"][0]["id"])


@dataclass
class Person:
    """Somebody who may register; nobody else has this name."""

    username: str = field(default_factory=lambda: f"testuser{next(_numbers)}-{uuid4().hex[:8]}")

    @property
    def email(self) -> str:
        """The address."""
        return f"{self.username}@gmail.com"

    @property
    def registration(self) -> dict[str, object]:
        """The document's body for registering."""
        return {
            "username": self.username,
            "email": self.email,
            "password": PASSWORD,
            "confirm_password": PASSWORD,
        }

    @property
    def credentials(self) -> dict[str, object]:
        """The document's body for signing in."""
        return {"email": self.email, "password": PASSWORD}


def admin(url: str) -> tuple[Program, Person]:
    """A program signed in for a new admin."""
    program, person = Program(url), Person()
    data(program.post(f"{ADMIN}/register", json=person.registration))
    program.token = sign_in(program, person)
    return program, person


def sign_in(program: Program, person: Person) -> str:
    """A new token of that person."""
    return str(data(program.post(f"{ADMIN}/login", json=person.credentials))["token"])


def data(answer: httpx.Response) -> Any:
    """What a success carries, in the document's envelope."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["status", "message", "data"]
    assert (body["status"], body["message"]) == ("ok", "success")
    return body["data"]


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and the message of a refusal, in the document's envelope."""
    body = answer.json()
    assert list(body) == ["status", "message"], answer.text
    assert body["status"] == "error"
    return answer.status_code, str(body["message"])


def device() -> str:
    """The name of a device nobody has used yet."""
    return uuid4().hex
