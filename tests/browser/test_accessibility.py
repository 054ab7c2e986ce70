"""Every page before axe, and no wider than its screen: small and wide, in light and in dark."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from portal.clock import utcnow
from portal.config import ROOT
from portal.domain.accounts import accounts
from portal.domain.batches import batches
from portal.domain.invitations import codes
from portal.models import Role
from tests import factories
from tests.browser.conftest import DESK, PHONE, House, Issued, Open, register, sign_in
from tests.browser.test_second_factors import (
    go_to_security,
    plug_in,
    set_up_app,
    show_password,
)
from tests.factories import PASSWORD

AXE = ROOT / "node_modules/axe-core/axe.min.js"
COLOURS = ["color-contrast", "link-in-text-block"]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

Look = Callable[[Page, str], None]


@pytest.fixture
def look() -> Look:
    """Looks at a page as it stands: at all of it in light, and at its colours in dark."""
    axe = AXE.read_text()

    def look(page: Page, name: str) -> None:
        page.evaluate(axe)
        for scheme, rules in (("light", {}), ("dark", {"runOnly": COLOURS})):
            page.emulate_media(color_scheme=scheme)
            violations = page.evaluate("(rules) => axe.run(rules).then((f) => f.violations)", rules)
            found = [
                f"{violation['id']}: {node['html']} {node['failureSummary']}"
                for violation in violations
                for node in violation["nodes"]
            ]
            assert found == [], f"{name}, {scheme}: {json.dumps(found, indent=2)}"
        assert page.evaluate(OVERFLOW) <= 0, f"{name} is wider than its screen"

    return look


@pytest.fixture(params=[PHONE, DESK])
def screen(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A phone's and a desk's."""
    return {"width": request.param}


def test_the_first_pages_of_a_new_portal(
    new_house: House, opened: Open, look: Look, screen: dict[str, Any]
) -> None:
    page = opened(new_house, **screen)
    page.goto("/register")
    look(page, "registration")
    page.get_by_label("E-mail").fill("nobody")
    page.locator("form").evaluate("(form) => { form.noValidate = true; }")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("This is not an e-mail address.")).to_be_visible()
    look(page, "refused registration")
    register(page)
    for url in ("/admin/", "/admin/invitations", "/admin/batches", "/admin/mails", "/admin/tokens"):
        page.goto(url)
        look(page, f"empty {url}")


def test_the_pages_of_an_invitee(
    house: House, opened: Open, look: Look, screen: dict[str, Any]
) -> None:
    page = opened(house, **screen)
    page.goto("/")
    look(page, "landing page")
    answer = page.locator("#landing-answer")
    for typed, said in (
        ("K7QM", "4 of 12"),
        ("0000-0000-0001", "typo"),
        (codes.draw(), "know this code"),
        (house.issue(recipient="ada@example.org").code, "Your e-mail"),
    ):
        page.get_by_label("Invitation code").fill(typed)
        expect(answer).to_contain_text(said)
        look(page, f"landing page that says {said}")
    page.goto("/nowhere")
    look(page, "404")
    page.goto("/request")
    look(page, "request for an invitation")
    page.goto("/api/docs")
    look(page, "reference of the API")
    page.goto(f"/?code={house.issue().code}")
    look(page, "landing page with a valid code")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
    look(page, "welcome")


def test_wrong_codes_and_the_lock(
    house: House, opened: Open, look: Look, screen: dict[str, Any]
) -> None:
    page = opened(house, **screen)
    page.goto("/")
    for _ in range(2):
        page.get_by_label("Invitation code").fill(codes.draw())
        with page.expect_navigation():
            page.get_by_role("button", name="Continue").click()
        look(page, "landing page with a wrong code")
    page.get_by_label("Invitation code").fill(codes.draw())
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Please wait a little")).to_be_visible()
    look(page, "lock page")


def test_the_sign_in(house: House, opened: Open, look: Look, screen: dict[str, Any]) -> None:
    page = opened(house, **screen)
    page.goto("/login")
    look(page, "sign-in")
    page.get_by_label("E-mail or username").fill("nobody")
    page.get_by_label("Password").fill("nothing")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("is not right")).to_be_visible()
    look(page, "refused sign-in")


@pytest.fixture
def used(house: House, opened: Open) -> Issued:
    """An invitation with a long label that let somebody in."""
    issued = house.issue("Pneumonoultramicroscopicsilicovolcanoconiosis" * 2, max_uses=5)
    guest = opened(house)
    guest.goto(f"/?code={issued.code}")
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()
    return issued


def test_the_pages_of_staff(
    house: House, opened: Open, look: Look, used: Issued, screen: dict[str, Any]
) -> None:
    page = opened(house, **screen)
    sign_in(page)
    for url in (
        "/admin/",
        "/admin/requests",
        "/admin/invitations?size=10",
        "/admin/invitations?q=nothing+like+it",
        "/admin/invitations/new",
        "/admin/imports/new",
        "/admin/exports/new",
        used.path,
        f"{used.path}/extension",
        f"{used.path}/revocation",
        "/admin/mails",
        "/admin/tokens",
        "/admin/people",
        "/admin/people?q=nobody-at-all",
        "/account/picture",
        "/account/security",
        "/admin/nowhere",
    ):
        page.goto(url)
        look(page, url)


def test_what_opens_on_the_pages_of_staff(
    house: House, opened: Open, look: Look, used: Issued, screen: dict[str, Any]
) -> None:
    page = opened(house, **screen)
    sign_in(page)
    page.get_by_text("As a table").click()
    look(page, "dashboard with its table")

    page.goto("/admin/invitations?q=Pneumono&size=10")
    page.locator("tbody details.menu summary").first.click()
    look(page, "history with a menu")
    page.get_by_role("button", name="Show code").first.click()
    expect(page.locator("code.code").first).to_be_visible()
    look(page, "history with a code")

    page.goto(used.path)
    page.get_by_role("link", name="Revoke…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "dialog to revoke")
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name="Extend…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    look(page, "dialog to extend")

    page.goto("/admin/invitations?q=Pneumono&size=10")
    page.locator("tbody input[type=checkbox]").first.check()
    look(page, "history with a choice")
    page.locator("#selection").get_by_role("button", name="Extend…").click()
    expect(page.get_by_role("heading", name="Extend 1 invitation")).to_be_visible()
    look(page, "extension of a choice")


def test_the_pages_of_batches(
    house: House, opened: Open, look: Look, screen: dict[str, Any]
) -> None:
    with house.app.app_context():
        olivia = accounts.find("olivia")
        assert olivia is not None
        guests = factories.batch(olivia, utcnow(), name="Pneumonoultramicroscopic" * 4).id
        terms, origin = factories.Terms(), factories.device()
        begun = batches.create(
            terms, name="Begun", size=9_999, by=olivia, origin=origin, now=utcnow()
        )
    page = opened(house, **screen)
    sign_in(page)
    for url in (
        "/admin/batches",
        "/admin/batches/new",
        f"/admin/batches/{begun.id}",
        f"/admin/batches/{guests}",
        f"/admin/batches/{guests}/extension",
        f"/admin/batches/{guests}/revocation",
    ):
        page.goto(url)
        look(page, url)
    page.goto(f"/admin/batches/{guests}")
    page.get_by_role("button", name="Print cards").first.click()
    expect(page.locator(".card")).to_have_count(3)
    look(page, "cards")


def test_the_forms_of_staff(house: House, opened: Open, look: Look, screen: dict[str, Any]) -> None:
    page = opened(house, **screen)
    sign_in(page)
    page.goto("/admin/invitations/new")
    page.get_by_text("More terms").click()
    page.get_by_label("A code of your own").fill("abc")
    page.get_by_label("Number of days").fill("0")
    page.locator("main form").evaluate("(form) => { form.noValidate = true; }")
    page.get_by_role("button", name="Issue the code").click()
    expect(page.get_by_text("Number must be between 1 and 3650.", exact=True)).to_be_visible()
    look(page, "refused terms")
    page.get_by_label("Number of days").fill("3")
    page.get_by_label("A code of your own").fill(f"welcome-{codes.draw()[:6]}")
    page.get_by_label("Bound to").fill("ada@example.org")
    page.get_by_label("Send it to that address").check()
    page.get_by_role("button", name="Issue the code").click()
    expect(page.get_by_role("heading", name="Code issued")).to_be_visible()
    look(page, "issued code")

    page.goto("/admin/mails")
    look(page, "mails")
    page.get_by_role("link", name="Invitation to ada@example.org").first.click()
    look(page, "mail")

    page.goto("/admin/tokens")
    page.get_by_label("Name").fill("A program")
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#token")).to_be_visible()
    look(page, "new token")


def test_the_pages_of_the_second_step(
    house: House, opened: Open, look: Look, screen: dict[str, Any]
) -> None:
    page, name = opened(house, **screen), f"secured-{uuid4().hex[:8]}"
    with house.app.app_context():
        person = factories.staff(Role.ADMIN, name, utcnow()).id
    plug_in(page)
    show_password(page, name)
    go_to_security(page)
    page.get_by_role("button", name="Set up an app").click()
    look(page, "picture for the app")
    page.goto("/account/security")
    set_up_app(page)
    page.get_by_role("button", name="Make ten new codes").click()
    look(page, "recovery codes")
    page.goto("/account/security")
    page.get_by_label("Name").fill("My phone")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("You can sign in with this passkey now.")).to_be_visible()
    look(page, "passkeys")
    page.goto(f"/admin/people/{person}")
    look(page, "person")
    page.get_by_role("button", name="Sign out", exact=True).click()
    show_password(page, name)
    page.get_by_text("I do not have my phone").click()
    look(page, "second step")


def test_the_pages_of_a_member(
    new_house: House, opened: Open, look: Look, screen: dict[str, Any]
) -> None:
    with new_house.app.app_context():
        factories.member("mia", utcnow())
        factories.newcomer("ana", utcnow())
        token = factories.sent_to("ana@example.org")[1]
    page = opened(new_house, **screen)
    for url in ("/signup", "/activation", f"/activation/{token}", "/reset", "/reset/code"):
        page.goto(url)
        look(page, url)
    page.goto("/login")
    page.get_by_label("E-mail or username").fill("mia")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/account")
    for part in ("", "/profile", "/password", "/email", "/email/confirmation", "/sessions"):
        page.goto(f"/account{part}")
        look(page, f"/account{part}")
    page.goto("/account/deletion")
    page.get_by_label("Your password").fill("wrong")
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page, "refused deletion")
