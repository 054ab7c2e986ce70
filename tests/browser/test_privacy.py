"""What stays behind in a browser: nothing."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PATIENCE, House, launched, sign_in


def test_back_after_signing_out_shows_no_code(house: House) -> None:  # case 33
    issued = house.issue("Left behind")
    # Playwright turns the cache of whole pages off, which is what Back could bring them from.
    with launched(ignore_default_args=["--disable-back-forward-cache"]) as browser:
        page = browser.new_context(base_url=house.url).new_page()
        page.set_default_timeout(PATIENCE)
        sign_in(page)
        page.goto(issued.path)
        page.get_by_role("button", name="Show code").click()
        expect(page.get_by_text(issued.code)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        expect(page.get_by_text("Left behind")).to_have_count(0)
        expect(page.get_by_text(issued.code)).to_have_count(0)


def test_back_after_leaving_shows_no_welcome(house: House) -> None:
    issued = house.issue()
    with launched(ignore_default_args=["--disable-back-forward-cache"]) as browser:
        page = browser.new_context(base_url=house.url).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"/?code={issued.code}")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Welcome")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Invitation code")).to_be_visible()
        page.go_back()
        expect(page.get_by_label("Invitation code")).to_be_visible()
        expect(page.get_by_role("heading", name="Welcome")).to_have_count(0)


def test_no_page_is_kept_in_the_storage_of_the_browser(house: House) -> None:
    issued = house.issue("Not kept")
    with launched() as browser:
        page = browser.new_context(base_url=house.url).new_page()
        page.set_default_timeout(PATIENCE)
        sign_in(page)
        page.goto("/admin/invitations?q=Not+kept")
        page.get_by_label("Actions for Not kept,").click()
        page.get_by_role("button", name="Show code").click()
        expect(page.get_by_text(issued.code)).to_be_visible()
        page.get_by_label("Search", exact=True).fill("Not")
        expect(page).to_have_url(re.compile(r"q=Not$"))
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        assert issued.code not in kept
        assert "<" not in kept
        assert page.evaluate("document.cookie") == ""


@pytest.mark.parametrize("scripts", [True, False])
def test_a_link_with_a_code_is_redeemed_and_no_request_carries_its_address(  # case 87
    house: House, scripts: bool
) -> None:
    issued = house.issue()
    referrers: list[str] = []
    with launched() as browser:
        context = browser.new_context(base_url=house.url, java_script_enabled=scripts)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda sent: referrers.append(sent.all_headers().get("referer", "")))
        page.goto(f"/?code={issued.code}")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Welcome")).to_be_visible()

    assert len(referrers) > 3
    assert not [each for each in referrers if issued.code in each]
