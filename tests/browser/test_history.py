"""The history, made quick by htmx."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import DESK, PHONE, House


def search(page: Page) -> Locator:
    """The field of the search."""
    return page.get_by_label("Search", exact=True)


def open_menu(page: Page, label: str) -> None:
    """Open the menu of that row."""
    page.get_by_label(f"Actions for {label},").click()


def test_a_search_is_in_the_address_and_back_undoes_it(house: House, olivia: Page) -> None:
    house.issue("Searched for")
    house.issue("Searched past")
    rows = olivia.locator("tbody tr")
    olivia.goto("/admin/invitations?q=Searched")
    expect(rows).to_have_count(2)
    search(olivia).press("End")
    olivia.keyboard.type(" for")
    expect(rows).to_have_count(1)
    expect(olivia).to_have_url(re.compile(r"/admin/invitations\?q=Searched\+for\b"))

    olivia.reload()
    expect(search(olivia)).to_have_value("Searched for")
    expect(rows).to_have_count(1)

    olivia.go_back()
    expect(olivia).to_have_url(re.compile(r"\?q=Searched$"))
    expect(rows).to_have_count(2)
    expect(search(olivia)).to_have_value("Searched")
    olivia.go_forward()
    expect(rows).to_have_count(1)


def test_a_search_keeps_the_focus_in_its_field(house: House, olivia: Page) -> None:
    house.issue("Focussed")
    olivia.goto("/admin/invitations")
    search(olivia).press_sequentially("Focussed")
    expect(olivia.get_by_text("1 invitation found")).to_be_visible()
    expect(search(olivia)).to_be_focused()


def test_filters_and_the_size_of_a_page_act_at_once(house: House, olivia: Page) -> None:
    for number in range(12):
        house.issue(f"Sized {number:02}")
    rows = olivia.locator("tbody tr")
    olivia.goto("/admin/invitations?q=Sized")
    expect(rows).to_have_count(12)
    olivia.get_by_label("Rows").select_option("10")
    expect(rows).to_have_count(10)
    expect(olivia).to_have_url(re.compile(r"\bsize=10\b"))
    olivia.get_by_label("Sort by").select_option("Label, A to Z")
    expect(rows.first).to_contain_text("Sized 00")
    expect(rows).to_have_count(10)
    olivia.get_by_label("State").select_option("Revoked")
    expect(olivia.get_by_role("heading", name="Nothing matches")).to_be_visible()


def test_pages_follow_each_other_and_back_returns(house: House, olivia: Page) -> None:
    for number in range(12):
        house.issue(f"Paged {number:02}")
    rows = olivia.locator("tbody tr")
    olivia.goto("/admin/invitations?q=Paged&size=10")
    olivia.get_by_role("link", name="Older →").click()
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("Paged 00")
    olivia.go_back()
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("Paged 11")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_code_is_shown_in_its_row(house: House, olivia: Page, width: int) -> None:
    issued = house.issue(f"Row {width}")
    olivia.set_viewport_size({"width": width, "height": 800})
    olivia.goto(f"/admin/invitations?q=Row+{width}")
    expect(olivia.get_by_text(issued.code)).to_have_count(0)
    open_menu(olivia, f"Row {width}")
    olivia.get_by_role("button", name="Show code").click()
    expect(olivia.get_by_text(issued.code)).to_be_visible()
    expect(olivia).to_have_url(re.compile(r"/admin/invitations\?"))


def test_a_link_is_copied(house: House, olivia: Page) -> None:
    issued = house.issue("Copied")
    olivia.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=house.url)
    olivia.goto("/admin/invitations?q=Copied")
    open_menu(olivia, "Copied")
    olivia.get_by_role("button", name="Copy link").click()
    expect(olivia.get_by_role("status").filter(has_text="Link copied")).to_be_attached()
    copied = olivia.evaluate("navigator.clipboard.readText()")
    assert copied == f"{house.url}/?code={issued.code}"


def test_a_menu_closes_by_escape_and_by_a_click_elsewhere(house: House, olivia: Page) -> None:
    house.issue("Menu one")
    house.issue("Menu two")
    olivia.goto("/admin/invitations?q=Menu")
    extend = olivia.get_by_role("link", name="Extend…")
    open_menu(olivia, "Menu one")
    expect(extend.filter(visible=True)).to_have_count(1)
    olivia.keyboard.press("Escape")
    expect(extend.filter(visible=True)).to_have_count(0)
    expect(olivia.get_by_label("Actions for Menu one,")).to_be_focused()
    open_menu(olivia, "Menu one")
    open_menu(olivia, "Menu two")
    expect(extend.filter(visible=True)).to_have_count(1)
    olivia.get_by_role("heading", name="Invitations").click()
    expect(extend.filter(visible=True)).to_have_count(0)


def test_extending_asks_in_a_dialog(house: House, olivia: Page) -> None:
    issued = house.issue("Asked to extend")
    olivia.goto("/admin/invitations?q=Asked+to+extend")
    open_menu(olivia, "Asked to extend")
    olivia.get_by_role("link", name="Extend…").click()
    dialog = olivia.get_by_role("dialog")
    expect(dialog).to_contain_text("“Asked to extend” ends")
    dialog.get_by_role("link", name="Leave it").click()
    expect(dialog).not_to_be_visible()

    open_menu(olivia, "Asked to extend")
    olivia.get_by_role("link", name="Extend…").click()
    dialog.get_by_label("No end").check()
    dialog.get_by_role("button", name="Extend").click()
    expect(olivia.get_by_text("Extended.")).to_be_visible()
    expect(olivia).to_have_url(re.compile(issued.path))
    expect(olivia.get_by_text("never")).to_be_visible()


def test_revoking_asks_in_a_dialog(house: House, olivia: Page) -> None:
    issued = house.issue("Asked to revoke")
    olivia.goto(issued.path)
    olivia.get_by_role("link", name="Revoke…").click()
    dialog = olivia.get_by_role("dialog")
    expect(dialog).to_contain_text("It will let nobody in any more, for good.")
    olivia.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    olivia.get_by_role("link", name="Revoke…").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(olivia.get_by_text("Revoked. It lets nobody in any more.")).to_be_visible()
    expect(olivia.get_by_role("link", name="Revoke…")).to_have_count(0)


def test_a_session_that_ended_leads_to_the_sign_in(house: House, olivia: Page) -> None:
    olivia.goto("/admin/invitations")
    other = olivia.context.new_page()
    other.goto("/admin/")
    cookies = olivia.context.cookies()
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    olivia.context.add_cookies(cookies)
    search(olivia).fill("anything")
    expect(olivia.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(search(olivia)).to_have_count(0)
