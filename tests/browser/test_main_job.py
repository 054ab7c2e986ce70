"""The main job, from the first registration to the history that shows a code used."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, House, Open, register


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_staff_issue_a_code_and_an_invitee_gets_in(
    new_house: House, opened: Open, width: int, scripts: bool
) -> None:
    olivia = opened(new_house, width=width, java_script_enabled=scripts)
    register(olivia)
    expect(olivia.get_by_text("No invitation has been issued yet")).to_be_visible()

    olivia.get_by_role("link", name="Issue a code").first.click()
    olivia.get_by_label("Label").fill("Garden party")
    olivia.get_by_role("button", name="Issue the code").click()
    expect(olivia.get_by_role("heading", name="Code issued")).to_be_visible()
    code = olivia.locator("#code").inner_text()
    assert re.fullmatch(r"\w{4}-\w{4}-\w{4}", code)

    guest = opened(new_house, width=width, java_script_enabled=scripts)
    guest.goto("/")
    guest.get_by_label("Invitation code").press_sequentially(code.replace("-", "").lower())
    if scripts:
        expect(guest.get_by_label("Invitation code")).to_have_value(code)
        expect(guest.get_by_text("Valid until")).to_be_visible()
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()
    expect(guest.get_by_text(f"the code ending in {code[-4:]}")).to_be_visible()

    olivia.get_by_role("link", name="Invitations", exact=True).click()
    row = olivia.get_by_role("row").filter(has_text="Garden party")
    expect(row).to_contain_text("used")
    expect(row).to_contain_text("1 of 1")
    row.get_by_role("link", name="Garden party").click()
    expect(olivia.get_by_text("Redeemed")).to_be_visible()
    expect(olivia.get_by_text("A device at 127.0.0.1")).to_be_visible()

    guest.get_by_role("button", name="Sign out").click()
    expect(guest.get_by_label("Invitation code")).to_be_visible()
    guest.goto("/welcome")
    expect(guest.get_by_label("Invitation code")).to_be_visible()
