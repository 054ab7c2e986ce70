"""Inviting from a file, as staff do it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from portal.domain.imports import uploads
from portal.http.headers import LARGEST_BODY
from portal.ops import worker
from tests.browser.conftest import DESK, PHONE, House, Open, sign_in

GUESTS = """E-mail;Name;Expires
lena@imports.example.org;Lena;31/12/2030
not an address;Somebody;
lena@imports.example.org;Lena again;
omar@imports.example.org;Omar;
ruth@imports.example.org;Ruth;
"""


@pytest.fixture
def guests(tmp_path: Path) -> Path:
    """A file with two good rows of five, once Ruth is invited."""
    path = tmp_path / "Spring guests.csv"
    path.write_text(GUESTS)
    return path


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_a_file_is_seen_first_and_then_confirmed(
    house: House, olivia: Page, guests: Path, width: int
) -> None:
    mine = GUESTS.replace("@imports", f"@imports-{width}")
    guests.write_text(mine)
    house.issue(recipient=f"ruth@imports-{width}.example.org")
    olivia.set_viewport_size({"width": width, "height": 800})
    olivia.goto("/admin/batches")
    olivia.get_by_role("link", name="Invite from a file").first.click()
    olivia.get_by_label("A file").set_input_files(guests)
    olivia.get_by_role("button", name="Show the preview").click()

    expect(olivia.get_by_role("heading", name="Spring guests")).to_be_visible()
    expect(olivia.get_by_text("2 invitations will be issued")).to_be_visible()
    rows = olivia.locator("tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("“not an address” is not an e-mail address.")
    for kind, told in (
        ("Duplicated", "The same address is in line 2."),
        ("Already invited", "ruth@"),
        ("Good", "omar@"),
    ):
        olivia.get_by_role("link", name=kind).click()
        expect(rows.filter(has_text=told)).to_have_count(1)

    olivia.get_by_role("button", name="Issue the invitations").click()

    expect(olivia).to_have_url(re.compile(r"/admin/batches/[-0-9a-f]+$"))
    expect(olivia.get_by_text("2 invitations")).to_be_visible()


def test_pasted_addresses_are_previewed_too(house: House, olivia: Page) -> None:
    olivia.goto("/admin/imports/new")
    pasted = "Nina <nina@imports.example.org>, otto@imports.example.org"
    olivia.get_by_label("Or addresses").fill(pasted)
    olivia.get_by_role("button", name="Show the preview").click()

    expect(olivia.get_by_text("2 invitations will be issued")).to_be_visible()
    olivia.get_by_role("button", name="Discard it").click()
    expect(olivia.get_by_text("Discarded. Nobody was invited.")).to_be_visible()


def test_a_long_file_is_watched_while_it_is_read(
    house: House, olivia: Page, tmp_path: Path
) -> None:
    count = uploads.AT_ONCE + 1
    path = tmp_path / "Everybody.csv"
    path.write_text("".join(f"guest{number}@watched.example.org\n" for number in range(count)))
    olivia.goto("/admin/imports/new")
    olivia.get_by_label("A file").set_input_files(path)
    olivia.get_by_role("button", name="Show the preview").click()
    expect(olivia.get_by_role("heading", name="Reading the file …")).to_be_visible()
    expect(olivia.get_by_text(f"{uploads.AT_ONCE:,} lines read.")).to_be_visible()
    expect(olivia.get_by_role("progressbar")).to_be_visible()

    with house.app.app_context():
        worker.read_imports()

    expect(olivia.get_by_text(f"{count:,} invitations will be issued")).to_be_visible()
    olivia.get_by_role("button", name="Discard it").click()
    expect(olivia.get_by_text("Discarded. Nobody was invited.")).to_be_visible()


def test_the_mail_is_previewed_while_it_is_written(olivia: Page, guests: Path) -> None:
    olivia.goto("/admin/imports/new")
    olivia.get_by_label("A file").set_input_files(guests)
    preview = olivia.get_by_label("Preview of the mail")
    expect(preview).to_be_hidden()
    olivia.get_by_label("Send each invitation to its address by e-mail").check()
    expect(preview.get_by_text("ana@example.org")).to_be_visible()

    olivia.get_by_label("Subject").fill("Come, {name}")
    olivia.get_by_label("Message").fill("Bring {{7*7}} <b>friends</b> and {nonsense}.")

    expect(preview.locator("b").filter(has_text="Come, ")).to_be_visible()
    expect(preview.locator("pre")).to_contain_text("Bring {{7*7}} <b>friends</b> and {nonsense}.")
    expect(preview.get_by_text("We have no field called {7*7}, {nonsense}")).to_be_visible()


def test_a_file_is_not_sent_along_to_see_the_mail(
    house: House, opened: Open, tmp_path: Path
) -> None:
    path = tmp_path / "guests.csv"
    path.write_text("guest@example.org\n" * (LARGEST_BODY // 10))
    page = opened(house, java_script_enabled=False)
    sign_in(page)
    page.goto("/admin/imports/new")
    page.get_by_label("A file").set_input_files(path)
    page.get_by_label("Send each invitation to its address by e-mail").check()
    page.get_by_label("Subject").fill("Without scripts")

    with page.expect_popup() as popup:
        page.get_by_role("button", name="Preview the mail").click()

    expect(popup.value.get_by_text("Without scripts")).to_be_visible()


def test_an_export_is_downloaded_as_it_is_filtered(house: House, olivia: Page) -> None:
    house.issue("Exported one")
    house.issue("Exported two")
    olivia.goto("/admin/invitations")
    olivia.get_by_label("Search", exact=True).fill("Exported")
    expect(olivia.get_by_text("2 invitations found")).to_be_visible()
    olivia.get_by_role("link", name="export …").click()
    expect(olivia.get_by_role("heading", name="Export 2 invitations")).to_be_visible()

    with olivia.expect_download() as download:
        olivia.get_by_role("button", name="Download").click()

    assert len(download.value.path().read_text().splitlines()) == 3
