"""A bound invitation, by the code from the mail: with scripts and without."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from portal.clock import utcnow
from portal.domain.invitations import recipient_verification
from tests import factories
from tests.browser.conftest import DESK, PHONE, House, Open, running

ADA = "ada@example.org"


@pytest.fixture(scope="module")
def mailing_house(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A portal with a mail server, as far as it knows: nothing is sent here."""
    copy = shutil.copy(migrated_file, tmp_path_factory.mktemp("mailing"))
    with running(Path(copy), MAIL_URL="smtp://127.0.0.1:9") as house:
        with house.app.app_context():
            factories.owner(utcnow())
        yield house


def mailed(house: House, email: str) -> str:
    """The code in that mailbox."""
    with house.app.app_context():
        return factories.sent_to(email)[0]


def press_continue(page: Page) -> None:
    """Send the form."""
    page.get_by_role("button", name="Continue").click()


# case 88
@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_a_guest_proves_the_address_by_the_code_from_the_mail(
    mailing_house: House, opened: Open, width: int, scripts: bool
) -> None:
    email = f"ada.{width}.{scripts}@example.org".lower()
    guest = opened(mailing_house, width=width, java_script_enabled=scripts)
    guest.goto("/")
    guest.get_by_label("Invitation code").fill(mailing_house.issue(recipient=email).code)
    if not scripts:
        press_continue(guest)
    guest.get_by_label("Your e-mail").fill(email)
    press_continue(guest)
    expect(guest.get_by_text("we have sent a code there")).to_be_visible()
    guest.get_by_label("Code from the mail").fill(mailed(mailing_house, email))
    press_continue(guest)
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()


# case 88
def test_the_mailed_link_needs_one_press_of_a_button(mailing_house: House, opened: Open) -> None:
    issued = mailing_house.issue(recipient=ADA)
    with mailing_house.app.app_context():
        invitation = issued.path.rpartition("/")[2]
        proof = recipient_verification.of_link(UUID(invitation), ADA)
    guest = opened(mailing_house, width=PHONE)
    guest.goto(f"/?code={issued.code}&proof={proof}")
    expect(guest.get_by_text("It was made for you")).to_be_visible()
    expect(guest.get_by_label("Your e-mail")).to_have_count(0)
    press_continue(guest)
    expect(guest.get_by_role("heading", name="Welcome")).to_be_visible()
