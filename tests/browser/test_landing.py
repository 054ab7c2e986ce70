"""The field for a code, under real fingers."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from portal.clock import utcnow
from portal.domain.invitations import codes
from tests.browser.conftest import House, Open


def field(page: Page) -> Locator:
    """The field for the code."""
    return page.get_by_label("Invitation code")


def caret(page: Page) -> int:
    """Where the next character would go."""
    position: int = field(page).evaluate("(input) => input.selectionStart")
    return position


def put_caret(page: Page, position: int) -> None:
    """Click between two characters."""
    field(page).evaluate("(input, at) => input.setSelectionRange(at, at)", position)


def fail(page: Page, times: int) -> None:
    """Enter codes that nobody issued."""
    for _ in range(times):
        field(page).fill(codes.draw())
        with page.expect_navigation():
            page.get_by_role("button", name="Continue").click()


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("k7qm", "K7QM"),
        ("k7qm4", "K7QM-4"),
        ("k7qm4txb9rwd", "K7QM-4TXB-9RWD"),
        ("k7qm 4txb 9rwd", "K7QM-4TXB-9RWD"),
        ("k7qm-4txb-9rwd", "K7QM-4TXB-9RWD"),
    ],
)
def test_a_code_groups_itself_while_it_is_typed(guest: Page, typed: str, shown: str) -> None:
    guest.goto("/")
    expect(field(guest)).to_be_focused()
    guest.keyboard.type(typed)
    expect(field(guest)).to_have_value(shown)


@pytest.mark.parametrize("other", ["our-own_code", "PRESS-2030-SPRING", "a code that is too long"])
def test_a_code_of_another_kind_is_left_as_it_is(guest: Page, other: str) -> None:
    guest.goto("/")
    field(guest).fill(other)
    expect(guest.locator("#landing-answer")).not_to_contain_text("Twelve letters")
    expect(field(guest)).to_have_value(other)


@pytest.mark.parametrize(
    ("before", "typed", "after"),
    [
        ("K7|QM-4TXB", "x", "K7X|Q-M4TX-B"),
        ("K7|QM-4TXB", "xy", "K7XY|-QM4T-XB"),
        ("K7QM|-4TXB", "x", "K7QM-X|4TX-B"),
        ("K7QM-|4TXB", "x", "K7QM-X|4TX-B"),
        ("|K7QM-4TXB", "0", "0|K7Q-M4TX-B"),
    ],
)
def test_the_caret_stays_where_one_is_editing(
    guest: Page, before: str, typed: str, after: str
) -> None:
    guest.goto("/")
    field(guest).fill(before.replace("|", ""))
    put_caret(guest, before.index("|"))
    guest.keyboard.type(typed)
    expect(field(guest)).to_have_value(after.replace("|", ""))
    assert caret(guest) == after.index("|")


def test_a_character_can_be_deleted_in_the_middle(guest: Page) -> None:
    guest.goto("/")
    field(guest).fill("K7QM-4TXB")
    put_caret(guest, 2)
    guest.keyboard.press("Backspace")
    expect(field(guest)).to_have_value("KQM4-TXB")
    assert caret(guest) == 1
    guest.keyboard.press("Delete")
    expect(field(guest)).to_have_value("KM4T-XB")
    assert caret(guest) == 1


def test_backspace_gets_past_a_dash(guest: Page) -> None:
    guest.goto("/")
    guest.keyboard.type("k7qm4")
    for _ in range(3):
        guest.keyboard.press("Backspace")
    expect(field(guest)).to_have_value("K7")


@pytest.mark.parametrize(
    "write",
    [
        lambda code: f"  {code.replace('-', ' ').lower()} \n",
        lambda code: "".join(chr(ord(c) + 0xFEE0) if c != "-" else "\u3000" for c in code),
        lambda code: code.replace("-", "\u2011"),
    ],
    ids=["spaces", "full width", "other dashes"],
)
def test_a_pasted_code_is_understood(
    house: House, guest: Page, write: Callable[[str], str]
) -> None:
    code = house.issue().code
    guest.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=house.url)
    guest.goto("/")
    guest.evaluate("(text) => navigator.clipboard.writeText(text)", write(code))
    field(guest).press("Control+V")
    expect(field(guest)).to_have_value(code)
    expect(guest.get_by_text("Valid until")).to_be_visible()
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()


def test_the_page_answers_while_a_code_is_typed(house: House, guest: Page) -> None:
    code = house.issue().code
    spent = house.issue(now=utcnow().replace(year=2020)).code
    answer = guest.locator("#landing-answer")
    guest.goto("/")
    expect(answer).to_contain_text("Twelve letters and digits")
    field(guest).press_sequentially(code[:6])
    expect(answer).to_contain_text("5 of 12")
    field(guest).fill(code[:-1] + ("0" if code[-1] != "0" else "1"))
    expect(answer).to_contain_text("Is there a typo?")
    field(guest).fill(codes.draw())
    expect(answer).to_contain_text("We don't know this code.")
    field(guest).fill(spent)
    expect(answer).to_contain_text("This invitation expired on")
    field(guest).fill(code)
    expect(answer).to_contain_text("✓ Valid until")
    expect(answer).to_have_attribute("aria-live", "polite")


def test_times_are_in_the_zone_of_the_reader(house: House, opened: Open) -> None:
    ends = utcnow().replace(year=2030, month=6, day=1, hour=23, minute=30)
    code = house.issue(expires_at=ends).code
    tokyo = opened(house, timezone_id="Asia/Tokyo", locale="en-GB")
    tokyo.goto(f"/?code={code}")
    expect(tokyo.locator("#landing-answer time")).to_contain_text("Jun 2, 2030")


def test_a_personal_code_asks_for_the_address_as_soon_as_it_is_known(
    house: House, guest: Page
) -> None:
    code = house.issue(recipient="ada@example.org").code
    guest.goto("/")
    field(guest).fill(code)
    guest.get_by_label("Your e-mail").fill("ada@example.org")
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()


def test_a_wrong_address_is_kept_in_its_field(house: House, guest: Page) -> None:
    guest.goto(f"/?code={house.issue(recipient='ada@example.org').code}")
    guest.get_by_label("Your e-mail").fill("eve@example.org")
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_text("made for another e-mail address")).to_be_visible()
    expect(guest.get_by_label("Your e-mail")).to_have_value("eve@example.org")


def test_a_link_fills_in_and_waits_for_the_press_of_a_button(house: House, guest: Page) -> None:
    code = house.issue().code
    guest.goto(f"/?code={code.lower()}")
    expect(field(guest)).to_have_value(code)
    expect(guest.get_by_text("Valid until")).to_be_visible()
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()


def test_three_failures_lead_to_a_countdown_that_runs(guest: Page) -> None:
    guest.clock.install()
    guest.goto("/")
    fail(guest, 2)
    expect(guest.get_by_text("1 try left before this device has to wait")).to_be_visible()
    fail(guest, 1)
    expect(guest.get_by_role("heading", name="Please wait a little")).to_be_visible()
    countdown, announcer = guest.locator(".countdown"), guest.locator("#announcer")
    expect(countdown).to_have_text(re.compile(r"^(30:00|29:\d\d)$"))
    guest.clock.fast_forward("05:00")
    expect(countdown).to_have_text(re.compile(r"^2[45]:\d\d$"))
    expect(announcer).to_contain_text("min")
    guest.clock.fast_forward("25:00")
    expect(countdown).to_have_text("Now")
    expect(announcer).to_contain_text("You can try again now.")


def test_a_page_that_was_open_before_the_lock_says_so_too(guest: Page) -> None:
    guest.goto("/")
    other = guest.context.new_page()
    other.goto("/")
    fail(other, 3)
    field(guest).fill(codes.draw())
    expect(guest.locator("#landing-answer")).to_contain_text("Please wait")


def test_a_server_that_is_away_is_mentioned(guest: Page, tolerated: list[str]) -> None:
    tolerated += ["Failed to load resource", "Response Status Error Code 503 from /validation"]
    guest.goto("/")
    guest.route("**/validation", lambda route: route.fulfill(status=503, body=""))
    field(guest).fill(codes.draw())
    expect(guest.locator("#announcer")).to_contain_text("That did not work.")
