"""Browsers that act at the same moment, and what the tables say afterwards."""

import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Barrier
from typing import Self, TypeVar
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from alembic.operations import BatchOperations, Operations
from alembic.runtime.migration import MigrationContext

from portal.domain.audit import chain
from portal.domain.invitations import codes
from portal.extensions import db
from portal.models import AuditEvent, Invitation, Redemption
from tests.factories import PASSWORD
from tests.pages import Page

PATIENCE = 60  # seconds
ROUNDS = 8
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # made once: httpx would make one for each browser
NO_KEEPALIVE = httpx.Limits(max_keepalive_connections=0)  # each request meets a worker by chance

Result = TypeVar("Result")
_networks = count(1)


class Browser:
    """A device with its cookies, and the CSRF token of the page it has open.

    Each is at an address of its own, as long as the server trusts a proxy to say so.
    """

    def __init__(
        self, url: str, address: str, cookies: httpx.Cookies | None = None, token: str = ""
    ) -> None:
        self._client = httpx.Client(
            base_url=url,
            headers={"X-Forwarded-For": address},
            cookies=cookies,
            verify=TLS,
            trust_env=False,
            timeout=PATIENCE,
            limits=NO_KEEPALIVE,
        )
        self._address = address
        self._token = token

    @classmethod
    def open(cls, url: str) -> Self:
        """A new device, which has opened the landing page."""
        browser = cls(url, f"2001:db8:{next(_networks):x}::1")
        browser.look()
        return browser

    def look(self) -> None:
        """Open the landing page, and keep its token."""
        landing = self._client.get("/")
        assert landing.status_code == 200, landing.text
        self._token = Page(landing.text).fields["csrf_token"]

    def twin(self, url: str | None = None) -> Self:
        """The same device once more: its second click, or its cookies replayed."""
        base_url = url or str(self._client.base_url)
        return type(self)(base_url, self._address, self._client.cookies, self._token)

    def forget_device(self) -> None:
        """Clear the cookie the lockout knows this device by."""
        self._client.cookies.delete("device")

    def visit(self, path: str) -> httpx.Response:
        """GET a page."""
        return self._client.get(path)

    def submit(
        self, path: str, headers: dict[str, str] | None = None, **fields: str
    ) -> httpx.Response:
        """POST a form."""
        return self._client.post(path, headers=headers, data={"csrf_token": self._token} | fields)

    def redeem(self, code: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """Send a code from the landing page."""
        return self.submit("/", headers, code=code)

    def register(self, name: str, email: str = "", code: str = "") -> httpx.Response:
        """Send the form for new staff."""
        return self.submit(
            "/register",
            email=email or f"{name}@example.org",
            username=name,
            password=PASSWORD,
            confirmation=PASSWORD,
            code=code,
        )

    def sign_in(self, name: str) -> None:
        """Sign in as staff: a new session, with a new token."""
        answer = self.submit("/login", identity=name, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        self.look()


def browsers(how_many: int, url: str) -> list[Browser]:
    """So many devices, each with the landing page open."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(Browser.open, [url] * how_many))


def twins(how_many: int, browser: Browser) -> list[Browser]:
    """The same device so many times."""
    return [browser.twin() for _ in range(how_many)]


def at_once(actions: Sequence[Callable[[], Result]]) -> list[Result]:
    """What each action gave; none begins before all are ready to."""
    barrier = Barrier(len(actions), timeout=PATIENCE)

    def begin(action: Callable[[], Result]) -> Result:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(begin, actions))


def must_break(attack: Callable[[], bool]) -> None:
    """Repeat an attack on a portal without its guard until it gets through, as it must."""
    if not any(attack() for _ in range(ROUNDS)):
        pytest.fail("the attack proves nothing: it fails without the guard as well")


def guess() -> str:
    """A code in our own form that nobody issued."""
    return codes.draw()


def statuses(responses: list[httpx.Response]) -> dict[int, int]:
    """How often each status was answered."""
    answered = [response.status_code for response in responses]
    return {status: answered.count(status) for status in sorted(set(answered))}


def evaluated() -> int:
    """How many guesses the portal has looked at."""
    chain.catch_up()
    return _count(AuditEvent, AuditEvent.action == "code.refused")


def uses(invitation: UUID) -> int:
    """The counter of an invitation."""
    return db.session.scalars(sa.select(Invitation.uses).where(Invitation.id == invitation)).one()


def ledger(invitation: UUID) -> int:
    """How many redemptions of an invitation there are."""
    return _count(Redemption, Redemption.invitation_id == invitation)


def _count(table: type, *which: sa.ColumnElement[bool]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(table).where(*which)) or 0


@contextmanager
def without_constraint(table: str, name: str, *columns: str) -> Iterator[None]:
    """Take away the database's own rule behind a guard; everything is deleted before it returns."""
    with _altered(table) as batch:
        batch.drop_constraint(name, type_="unique")
    try:
        yield
    finally:
        with db.engine.begin() as connection:
            for emptied in reversed(db.metadata.sorted_tables):
                if emptied.name != "audit_event":  # it keeps its rows
                    connection.execute(sa.delete(emptied))
        with _altered(table) as batch:
            batch.create_unique_constraint(name, columns)


@contextmanager
def _altered(table: str) -> Iterator[BatchOperations]:
    db.session.rollback()
    with db.engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table(table) as batch:
            yield batch
