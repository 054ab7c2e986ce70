"""The second step in a real browser: an app with and without scripts, and Chromium's passkeys."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Page, expect

from portal.clock import utcnow
from portal.models import Role
from tests import factories
from tests.authenticators import App
from tests.browser.conftest import DESK, PHONE, House, Open
from tests.factories import PASSWORD

# A phone's own: it finds passkeys without a name, and knows its owner.
PHONE_LOCK: dict[str, Any] = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# A browser that offers passkeys at the button only, as older ones do. The others answer a
# suggestion at once here: their authenticator is always touched.
SUGGESTS_NOTHING = "delete PublicKeyCredential.isConditionalMediationAvailable;"
# One whose suggestions nobody chooses from. It refuses a second question meanwhile, as all do.
SUGGESTS_IN_VAIN = """
    const get = navigator.credentials.get.bind(navigator.credentials);
    const page = () => document.documentElement;
    navigator.credentials.get = (options) => {
        if (options.mediation !== "conditional") {
            const isPending = page().hasAttribute("data-suggesting");
            return isPending ? Promise.reject(new Error("pending")) : get(options);
        }
        page().setAttribute("data-suggesting", "");
        return new Promise((_, reject) => options.signal.addEventListener("abort", () => {
            page().removeAttribute("data-suggesting");
            reject(options.signal.reason);
        }));
    };
"""

_numbers = count(1)


@pytest.fixture
def hire(house: House) -> Callable[[], str]:
    """Adds somebody to the staff, whom no other test knows; their name."""

    def hire() -> str:
        name = f"keyholder{next(_numbers)}"
        with house.app.app_context():
            factories.staff(Role.ADMIN, name, utcnow())
        return name

    return hire


def show_password(page: Page, name: str) -> None:
    """Take the first step."""
    page.goto("/login")
    page.get_by_label("E-mail or username").fill(name)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def go_to_security(page: Page) -> None:
    """By the links, from the dashboard."""
    page.wait_for_url("**/admin/")
    page.get_by_role("link", name="Account of").click()
    page.get_by_role("link", name="Change how you sign in").click()
    expect(page.get_by_role("heading", name="How you sign in")).to_be_visible()


def set_up_app(page: Page) -> tuple[App, list[str]]:
    """Set up an app; the recovery codes."""
    page.get_by_role("button", name="Set up an app").click()
    expect(page.locator("svg.qr")).to_be_visible()
    app = App(page.locator("#secret").inner_text().replace(" ", ""))
    page.get_by_label("Code from the app").fill(app.code(utcnow()))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    codes = page.locator(".recovery-codes li").all_inner_texts()
    page.get_by_role("link", name="I have kept them").click()
    return app, codes


def plug_in(page: Page, script: str = SUGGESTS_NOTHING, **changes: Any) -> CDPSession:
    """Give the browser a virtual authenticator (WebAuthn level 3, section 11)."""
    page.add_init_script(script)
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": PHONE_LOCK | changes})
    return session


def add_passkey(page: Page, name: str) -> None:
    """Make a passkey."""
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_role("button", name=f"Remove {name}")).to_be_visible()


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_an_app_is_set_up_and_asked_for(
    house: House, opened: Open, hire: Callable[[], str], width: int, scripts: bool
) -> None:
    name, page = hire(), opened(house, width=width, java_script_enabled=scripts)
    show_password(page, name)
    go_to_security(page)
    app, codes = set_up_app(page)
    expect(page.get_by_text("10 recovery codes left")).to_be_visible()

    page.get_by_role("button", name="Sign out", exact=True).click()
    show_password(page, name)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_label("Code from your app").fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("This code is not right")).to_be_visible()
    page.get_by_label("Code from your app").fill(app.code(utcnow(), steps=1))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/admin/")

    page.get_by_role("button", name="Sign out", exact=True).click()
    show_password(page, name)
    page.get_by_text("I do not have my phone").click()
    page.get_by_label("Recovery code").fill(codes[0].lower())
    page.get_by_role("button", name="Sign in with a recovery code").click()
    page.wait_for_url("**/admin/")


def test_a_passkey_signs_in_without_a_name_and_as_a_second_step(
    house: House, opened: Open, hire: Callable[[], str]
) -> None:
    name, page = hire(), opened(house, width=PHONE)
    plug_in(page)
    show_password(page, name)
    go_to_security(page)
    add_passkey(page, "My phone")

    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/admin/")

    page.get_by_role("button", name="Sign out", exact=True).click()
    show_password(page, name)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/admin/")


def test_a_passkey_that_the_browser_suggests_signs_in(
    house: House, opened: Open, hire: Callable[[], str]
) -> None:
    name, page = hire(), opened(house)
    plug_in(page, script="")
    show_password(page, name)
    go_to_security(page)
    add_passkey(page, "My phone")

    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/admin/")


def test_the_button_takes_the_place_of_a_suggestion(
    house: House, opened: Open, hire: Callable[[], str]
) -> None:
    name, page = hire(), opened(house)
    plug_in(page, SUGGESTS_IN_VAIN)
    show_password(page, name)
    go_to_security(page)
    add_passkey(page, "My phone")

    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.locator("html[data-suggesting]")).to_be_attached()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/admin/")


def test_a_removed_passkey_is_refused_in_a_sentence(
    house: House, opened: Open, hire: Callable[[], str]
) -> None:
    name, page = hire(), opened(house)
    plug_in(page)
    show_password(page, name)
    go_to_security(page)
    add_passkey(page, "My laptop")
    page.get_by_role("button", name="Remove My laptop").click()
    expect(page.get_by_text("The passkey is removed.")).to_be_visible()

    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("That passkey did not work.")).to_be_visible()


def test_a_browser_that_refuses_is_told_so_and_can_go_on(house: House, opened: Open) -> None:
    page = opened(house)
    plug_in(page, isUserVerified=False)
    page.goto("/login")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("No passkey was used.")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_enabled()


def test_without_scripts_no_passkey_is_offered(house: House, opened: Open) -> None:
    page = opened(house, java_script_enabled=False)
    page.goto("/login")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
