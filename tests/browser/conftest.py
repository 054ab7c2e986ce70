"""Chromium, driven against gunicorn on SQLite: what only a real browser can show."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from portal import create_app
from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.extensions import db
from tests import factories
from tests.conftest import make_settings, migrate
from tests.factories import PASSWORD
from tests.servers import serve

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20_000  # milliseconds: the machine may be busy
PHONE, DESK = 360, 1280  # pixels
# The browser says this of every refusal.
REFUSED = "Failed to load resource: the server responded with a status of 4"
# htmx says these two of a question that was still open when its page was left.
ABANDONED = ("htmx:sendAbort", "htmx:afterRequest")
REPORT_VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", (violation) => {
        console.error("CSP", violation.violatedDirective, violation.blockedURI);
    });
"""

Open = Callable[..., Page]


@dataclass(frozen=True)
class Issued:
    """An invitation as a test needs it."""

    code: str
    path: str


@dataclass(frozen=True)
class House:
    """A running portal, and the way behind its pages."""

    url: str
    app: Flask

    def issue(
        self, label: str = "", code: str | None = None, now: datetime | None = None, **terms: Any
    ) -> Issued:
        """Olivia issues an invitation."""
        with self.app.app_context():
            olivia = accounts.find("olivia") or factories.owner(utcnow())
            invited = factories.invitation(olivia, now or utcnow(), code, label=label, **terms)
            return Issued(factories.code_of(invited), f"/admin/invitations/{invited.id}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder, and say aloud where it cannot run. In CI it must."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not CHROMIUM.exists() and not os.environ.get("CI"):
                item.add_marker(pytest.mark.skip(reason=f"there is no {CHROMIUM}"))


@contextmanager
def launched(**options: Any) -> Iterator[Browser]:
    """Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, **options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One Chromium for a module; its contexts share nothing."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database, migrated once."""
    path = tmp_path_factory.mktemp("browser") / "portal.db"
    migrate(f"sqlite:///{path}")
    return path


@contextmanager
def running(database: Path, **settings: str) -> Iterator[House]:
    """A portal over that file, where nobody runs out of tries, and anybody may ask for a code."""
    database_url = f"sqlite:///{database}"
    changes = {"ADDRESS_MISSES_PER_HOUR": "100000", "INVITATION_REQUESTS": "true"}
    # By a name: browsers make no passkeys for a number.
    with serve(database_url, host="localhost", **changes, **settings) as url:
        app = create_app(make_settings(database_url, public_url=url))
        yield House(url, app)
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="session")
def house(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A portal that Olivia owns. Tests share it: each looks for its own labels only."""
    copy = shutil.copy(migrated_file, tmp_path_factory.mktemp("house"))
    with running(Path(copy)) as house:
        with house.app.app_context():
            factories.owner(utcnow())
        yield house


@pytest.fixture
def new_house(migrated_file: Path, tmp_path: Path) -> Iterator[House]:
    """A portal that nobody has opened yet."""
    with running(Path(shutil.copy(migrated_file, tmp_path))) as house:
        yield house


@pytest.fixture
def tolerated() -> list[str]:
    """How messages begin that the console may be told: refusals, and what a test adds."""
    return [REFUSED, *ABANDONED]


@pytest.fixture
def opened(chromium: Browser, tolerated: list[str]) -> Iterator[Open]:
    """Opens browsers of their own, each a new device, on the house that is named first.

    Whatever else the console is told, by us or by the browser, fails the test.
    """
    complaints: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(tuple(tolerated)):
            complaints.append(f"{message.type}: {message.text}")

    def open_page(house: House, width: int = DESK, **options: Any) -> Page:
        context = chromium.new_context(
            base_url=house.url,
            viewport={"width": width, "height": 800},
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", note)
        context.on("weberror", lambda fault: complaints.append(f"fault: {fault.error}"))
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def guest(house: House, opened: Open) -> Page:
    """The phone of an invitee."""
    return opened(house, width=PHONE)


@pytest.fixture
def olivia(house: House, opened: Open) -> Page:
    """The owner's browser, signed in."""
    page = opened(house)
    sign_in(page)
    return page


def sign_in(page: Page, name: str = "olivia") -> None:
    """Sign in by the form."""
    page.goto("/login")
    page.get_by_label("E-mail or username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/admin/")


def register(page: Page, name: str = "olivia") -> None:
    """Register by the form."""
    page.goto("/register")
    page.get_by_label("E-mail").fill(f"{name}@example.org")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    page.wait_for_url("**/admin/")
