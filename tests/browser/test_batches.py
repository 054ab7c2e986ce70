"""Batches in a browser: progress that moves, the funnel, choosing rows, cards on paper."""

import re
from collections.abc import Callable
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.batches import batches
from portal.models import Account
from portal.ops import worker
from tests import factories
from tests.browser.conftest import House, Open, sign_in

CHOSEN = re.compile(r"With the \d+ chosen:")


@pytest.fixture
def batch(house: House) -> Callable[..., UUID]:
    """Makes an issued batch of Olivia."""

    def make(**changes: object) -> UUID:
        with house.app.app_context():
            return factories.batch(_olivia(), utcnow(), **changes).id

    return make


@pytest.fixture
def step(house: House) -> Callable[[], None]:
    """Does what the worker does in a round."""

    def step() -> None:
        with house.app.app_context():
            worker.issue_batches()

    return step


def _olivia() -> Account:
    found = accounts.find("olivia")
    assert found is not None
    return found


def test_a_batch_is_watched_while_it_is_issued(
    house: House, olivia: Page, step: Callable[[], None]
) -> None:
    olivia.goto("/admin/invitations/new")
    olivia.get_by_role("link", name="Issue many at once").click()
    olivia.get_by_label("Name").fill("Watched")
    olivia.get_by_label("How many codes").fill("6000")
    olivia.get_by_role("button", name="Issue the batch").click()
    expect(olivia.get_by_role("heading", name="Watched")).to_be_visible()
    bar = olivia.get_by_role("progressbar")
    expect(bar).to_have_attribute("value", "0")

    step()
    expect(bar).to_have_attribute("value", "5000")
    expect(olivia.get_by_text("5,000 of 6,000 codes drawn")).to_be_visible()

    step()
    expect(bar).to_have_attribute("value", "6000")
    step()
    expect(olivia.get_by_role("heading", name="What became of them")).to_be_visible()
    expect(bar).to_have_count(0)
    expect(olivia.get_by_text("6,000 invitations")).to_be_visible()


def test_a_batch_is_watched_without_scripts_by_looking_again(
    house: House, opened: Open, step: Callable[[], None]
) -> None:
    page = opened(house, java_script_enabled=False)
    sign_in(page)
    page.goto("/admin/batches/new")
    page.get_by_label("Name").fill("Looked at")
    page.get_by_label("How many codes").fill("1500")
    page.get_by_role("button", name="Issue the batch").click()
    expect(page.get_by_text("0 of 1,500 codes drawn")).to_be_visible()
    step()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_text("1,500 of 1,500 codes drawn")).to_be_visible()
    step()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("heading", name="What became of them")).to_be_visible()


def test_the_funnel_shows_shares_as_bars(
    house: House, opened: Open, olivia: Page, batch: Callable[..., UUID]
) -> None:
    made = batch(size=4, name="Funnelled")
    with house.app.app_context():
        first, *_ = batches.issued(made)
        code = factories.code_of(first)
    guest = opened(house)
    guest.goto(f"/?code={code}")
    guest.get_by_role("button", name="Continue").click()
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()

    olivia.goto(f"/admin/batches/{made}")
    steps = olivia.locator(".funnel li")
    expect(steps).to_contain_text(["Issued", "Link opened", "Redeemed", "Expired"])
    for name, share in (("Issued", 1.0), ("Redeemed", 0.25)):
        bars = steps.filter(has_text=name).locator("rect")
        whole, part = (bars.nth(index).bounding_box() for index in range(2))
        assert whole
        assert part
        assert part["width"] / whole["width"] == pytest.approx(share, abs=0.01)


def test_what_is_unredeemed_is_revoked_by_a_dialog(
    olivia: Page, batch: Callable[..., UUID]
) -> None:
    olivia.goto(f"/admin/batches/{batch(name='Ended')}")
    olivia.get_by_role("link", name="Revoke unredeemed…").click()
    dialog = olivia.get_by_role("dialog")
    expect(dialog).to_contain_text("Revoke 3 codes of “Ended”")
    dialog.get_by_role("button", name="Revoke").click()
    expect(olivia.get_by_text("Revoked: 3.")).to_be_visible()
    expect(olivia.locator("tbody .status.revoked")).to_have_count(3)


def test_the_rows_of_a_batch_turn_pages_in_place(olivia: Page, batch: Callable[..., UUID]) -> None:
    olivia.goto(f"/admin/batches/{batch(size=60)}")
    olivia.get_by_role("link", name="On →").click()
    expect(olivia.locator("tbody tr")).to_have_count(10)
    expect(olivia).to_have_url(re.compile(r"\?cursor="))
    olivia.go_back()
    expect(olivia.locator("tbody tr")).to_have_count(50)


def test_the_bar_of_actions_comes_with_the_first_tick_and_counts(
    house: House, olivia: Page
) -> None:
    for number in range(3):
        house.issue(f"Ticked {number}")
    olivia.goto("/admin/invitations?q=Ticked")
    bar, boxes = olivia.get_by_text(CHOSEN), olivia.locator("tbody input[type=checkbox]")
    expect(olivia.locator("#selection")).to_be_hidden()

    boxes.nth(1).check()
    expect(bar).to_have_text("With the 1 chosen:")
    olivia.get_by_label("Choose all on this page").check()
    expect(bar).to_have_text("With the 3 chosen:")
    boxes.nth(0).uncheck()
    expect(bar).to_have_text("With the 2 chosen:")
    expect(olivia.get_by_label("Choose all on this page")).not_to_be_checked()

    olivia.locator("#selection").get_by_role("button", name="Revoke…").click()
    expect(olivia.get_by_role("heading", name="Revoke 2 invitations")).to_be_visible()
    olivia.get_by_role("button", name="Revoke").click()
    expect(olivia).to_have_url(re.compile(r"/admin/invitations\?q=Ticked$"))
    expect(olivia.locator("tbody .status.revoked")).to_have_count(2)


def test_rows_are_chosen_without_scripts_too(house: House, opened: Open) -> None:
    house.issue("Plainly ticked")
    page = opened(house, java_script_enabled=False)
    sign_in(page)
    page.goto("/admin/invitations?q=Plainly")
    expect(page.get_by_label("Choose all on this page")).to_be_hidden()
    page.get_by_label("Choose Plainly ticked").check()
    page.locator("#selection").get_by_role("button", name="Extend…").click()
    page.get_by_label("No end").check()
    page.get_by_role("button", name="Extend").click()
    expect(page.get_by_text("Extended: 1.")).to_be_visible()


def test_cards_print_eight_a_sheet_of_a4(olivia: Page, batch: Callable[..., UUID]) -> None:
    olivia.goto(f"/admin/batches/{batch(size=17)}")
    olivia.get_by_role("button", name="Print cards").first.click()
    expect(olivia.locator(".card")).to_have_count(17)

    paper = olivia.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 3
    assert set(re.findall(rb"/MediaBox\s*\[0 0 (\d+)\S* (\d+)\S*\]", paper)) == {(b"594", b"841")}

    olivia.emulate_media(media="print")
    expect(olivia.get_by_role("button", name="Print")).to_be_hidden()
    olivia.set_viewport_size({"width": 718, "height": 1060})  # what the margins leave of A4
    boxes = [
        box
        for card in olivia.locator(".sheet").first.locator(".card").all()
        if (box := card.bounding_box())
    ]
    assert len({round(box["x"]) for box in boxes}) == 2
    assert len({round(box["y"]) for box in boxes}) == 4
    assert max(box["x"] + box["width"] for box in boxes) <= 719


def test_the_button_opens_the_print_dialog(olivia: Page, batch: Callable[..., UUID]) -> None:
    olivia.context.add_init_script("window.print = () => { document.title = 'printed'; };")
    olivia.goto(f"/admin/batches/{batch()}")
    olivia.get_by_role("button", name="Print cards").first.click()
    olivia.get_by_role("button", name="Print", exact=True).click()
    expect(olivia).to_have_title("printed")
