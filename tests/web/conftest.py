"""Browsers with people in them, and invitations for them to meet.

A request made inside an application context would share it, `g` and all, with the requests after
it: so what happens behind the pages happens in a context of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.audit import chain
from portal.extensions import db
from portal.models import Role
from tests import factories
from tests.factories import PASSWORD
from tests.pages import PageClient


@dataclass(frozen=True)
class Issued:
    """An invitation as a test needs it."""

    id: UUID
    code: str

    @property
    def page(self) -> str:
        """Where staff look at it."""
        return f"/admin/invitations/{self.id}"


class Issue(Protocol):
    """Issue an invitation; `terms` as in `Terms`."""

    def __call__(
        self, code: str | None = None, now: datetime | None = None, **terms: Any
    ) -> Issued: ...


@pytest.fixture
def newcomer(app: Flask) -> Callable[[], PageClient]:
    """Opens a browser that nobody has used yet: a new device."""

    def open_browser() -> PageClient:
        browser = app.test_client()
        assert isinstance(browser, PageClient)
        return browser

    return open_browser


@pytest.fixture
def sign_in(app: Flask, newcomer: Callable[[], PageClient]) -> Callable[[Role, str], PageClient]:
    """Opens a browser in which somebody of that role is signed in."""

    def enter(role: Role, name: str) -> PageClient:
        with app.app_context():
            factories.staff(role, name, utcnow())
        browser = newcomer()
        answer = browser.submit("/login", {"identity": name, "password": PASSWORD})
        assert answer.status_code == 303
        return browser

    return enter


@pytest.fixture
def olivia(sign_in: Callable[[Role, str], PageClient]) -> PageClient:
    """The owner's browser."""
    return sign_in(Role.OWNER, "olivia")


@pytest.fixture
def alice(sign_in: Callable[[Role, str], PageClient]) -> PageClient:
    """The browser of an admin."""
    return sign_in(Role.ADMIN, "alice")


@pytest.fixture
def vera(sign_in: Callable[[Role, str], PageClient]) -> PageClient:
    """The browser of a viewer."""
    return sign_in(Role.VIEWER, "vera")


@pytest.fixture
def mia(sign_in: Callable[[Role, str], PageClient]) -> PageClient:
    """The browser of a member."""
    return sign_in(Role.MEMBER, "mia")


@pytest.fixture
def issue(app: Flask) -> Issue:
    """Issues invitations behind the pages; Ida issued them."""

    def issue(code: str | None = None, now: datetime | None = None, **terms: Any) -> Issued:
        now = now or utcnow()
        with app.app_context():
            ida = accounts.find("ida") or factories.owner(now, "ida")
            invited = factories.invitation(ida, now, code, **terms)
            return Issued(invited.id, factories.code_of(invited))

    return issue


@pytest.fixture
def ask(app: Flask) -> Callable[[sa.Select[Any]], list[Any]]:
    """Asks the database; each row's first column."""

    def ask(question: sa.Select[Any]) -> list[Any]:
        with app.app_context():
            chain.catch_up()
            return list(db.session.scalars(question))

    return ask
