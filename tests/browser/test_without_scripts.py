"""Every page and form, with JavaScript off."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from portal.clock import utcnow
from portal.domain.invitations import codes
from tests.browser.conftest import PHONE, House, Open, sign_in


@pytest.fixture
def guest(house: House, opened: Open) -> Page:
    """The phone of an invitee who runs no scripts."""
    return opened(house, width=PHONE, java_script_enabled=False)


@pytest.fixture
def olivia(house: House, opened: Open) -> Page:
    """The owner's browser, which runs no scripts."""
    page = opened(house, java_script_enabled=False)
    sign_in(page)
    return page


def test_a_link_validates_its_code(house: House, guest: Page) -> None:
    guest.goto(f"/?code={house.issue().code}")
    expect(guest.get_by_text("Valid until")).to_be_visible()
    expect(guest.get_by_role("heading", name="Welcome")).to_have_count(0)


def test_wrong_codes_lead_to_the_lock_page_with_the_time_in_words(guest: Page) -> None:
    guest.goto("/")
    for left in ("2 tries left", "1 try left"):
        guest.get_by_label("Invitation code").fill(codes.draw())
        guest.get_by_role("button", name="Continue").click()
        expect(guest.get_by_text(left)).to_be_visible()
    guest.get_by_label("Invitation code").fill(codes.draw())
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Please wait a little")).to_be_visible()
    expect(guest.locator(".countdown")).to_have_text("30 minutes")
    expect(guest.get_by_text("UTC")).to_be_visible()
    guest.get_by_role("link", name="Try again").click()
    expect(guest.get_by_role("heading", name="Please wait a little")).to_be_visible()


def test_a_personal_code_asks_for_the_address_on_its_next_page(house: House, guest: Page) -> None:
    guest.goto("/")
    guest.get_by_label("Invitation code").fill(house.issue(recipient="@example.org").code)
    guest.get_by_role("button", name="Continue").click()
    guest.get_by_label("Your e-mail").fill("ada@example.org")
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()


def test_a_code_is_issued_with_all_its_terms(olivia: Page) -> None:
    olivia.goto("/admin/invitations/new")
    olivia.get_by_label("Label").fill("No scripts, all terms")
    olivia.get_by_label("Until a date").check()
    olivia.get_by_label("Until which date and time").fill("2030-06-01T10:00")
    olivia.get_by_label("Several").check()
    olivia.get_by_label("Number of devices").fill("25")
    olivia.get_by_text("More terms").click()
    olivia.get_by_label("Bound to").fill("@example.org")
    olivia.get_by_role("button", name="Issue the code").click()
    expect(olivia.get_by_text("admits 25 devices")).to_be_visible()
    expect(olivia.get_by_text("1 Jun 2030, 10:00 UTC")).to_be_visible()
    link = olivia.get_by_label("Link to share").input_value()
    assert link.endswith(f"/?code={olivia.locator('#code').inner_text()}")


def test_the_menu_of_a_row_shows_a_code(house: House, olivia: Page) -> None:
    issued = house.issue("Shown without scripts")
    olivia.goto("/admin/invitations?q=Shown+without+scripts")
    olivia.get_by_label("Actions for Shown without scripts").click()
    olivia.get_by_role("button", name="Show code").click()
    expect(olivia.get_by_text(issued.code, exact=True)).to_be_visible()
    expect(olivia.get_by_label("Link")).to_have_value(f"{house.url}/?code={issued.code}")
    olivia.get_by_role("link", name="Back").click()
    expect(olivia.get_by_role("heading", name="Shown without scripts")).to_be_visible()
    expect(olivia.get_by_text("Code shown by olivia")).to_be_visible()


def test_an_invitation_is_extended(house: House, olivia: Page) -> None:
    issued = house.issue("Extended without scripts", expires_at=utcnow() + timedelta(days=1))
    olivia.goto(issued.path)
    olivia.get_by_role("link", name="Extend…").click()
    olivia.get_by_label("No end").check()
    olivia.get_by_role("button", name="Extend").click()
    expect(olivia.get_by_text("Extended.")).to_be_visible()
    expect(olivia.get_by_text("never")).to_be_visible()


def test_an_invitation_is_revoked_with_its_sessions(
    house: House, olivia: Page, guest: Page
) -> None:
    issued = house.issue("Revoked without scripts")
    guest.goto(f"/?code={issued.code}")
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()

    olivia.goto(issued.path)
    olivia.get_by_role("link", name="Revoke…").click()
    olivia.get_by_label("1 person is signed in with it").check()
    olivia.get_by_role("button", name="Revoke").click()
    expect(olivia.get_by_text("Sessions ended: 1.")).to_be_visible()

    guest.reload()
    expect(guest.get_by_label("Invitation code")).to_be_visible()


def test_the_history_is_searched_filtered_sorted_and_paged(house: House, olivia: Page) -> None:
    for number in range(12):
        house.issue(f"Paper {number:02}")
    rows = olivia.locator("tbody tr")
    olivia.goto("/admin/invitations")
    olivia.get_by_role("searchbox", name="Search").fill("paper")
    olivia.get_by_label("State").select_option("Active")
    olivia.get_by_label("Sort by").select_option("Label, A to Z")
    olivia.get_by_label("Rows").select_option("10")
    olivia.get_by_role("button", name="Show").click()
    expect(olivia.get_by_text("12 invitations found")).to_be_visible()
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("Paper 00")
    olivia.get_by_role("link", name="On →").click()
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("Paper 11")
    olivia.get_by_role("link", name="← Back").click()
    expect(rows.first).to_contain_text("Paper 00")
    expect(olivia.get_by_role("searchbox", name="Search")).to_have_value("paper")
    assert re.search(r"[?&]sort=label\b", olivia.url)
