"""From asking for an invitation to being invited, in a browser."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import House


def test_somebody_asks_and_is_invited(house: House, guest: Page, olivia: Page) -> None:
    guest.goto("/")
    guest.get_by_role("link", name="Ask for an invitation").click()
    guest.get_by_label("Your name").fill("Ana from the bakery")
    guest.get_by_label("Your e-mail").fill("ana@bakery.example.org")
    guest.get_by_role("button", name="Ask").click()
    expect(guest.get_by_role("heading", name="Thank you")).to_be_visible()

    olivia.goto("/admin/")
    olivia.get_by_role("link", name="for an invitation").click()
    olivia.get_by_label("Ana from the bakery").check()
    olivia.get_by_role("button", name="Invite the chosen").click()

    expect(olivia.get_by_text("Invited 1.")).to_be_visible()
    olivia.goto("/admin/invitations?q=ana@bakery.example.org")
    expect(olivia.get_by_role("link", name="Ana from the bakery")).to_be_visible()
