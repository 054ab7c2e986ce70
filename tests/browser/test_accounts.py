"""From signing up to leaving, in a browser, with scripts and without."""

import pytest
from playwright.sync_api import Page, expect

from portal.clock import utcnow
from tests import factories
from tests.browser.conftest import PHONE, House, Open
from tests.factories import PASSWORD

NEW = "a new battery staple"


def mailed(house: House, email: str) -> tuple[str, str]:
    """The code and the link's token of the last mail to a mailbox."""
    with house.app.app_context():
        return factories.sent_to(email)


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Sign in by the form, as a member."""
    page.goto("/login")
    page.get_by_label("E-mail or username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/account")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_somebody_signs_up_confirms_looks_around_and_leaves(
    house: House, opened: Open, *, scripts: bool
) -> None:
    email = f"mia-{scripts}@example.org".lower()
    page = opened(house, width=PHONE, java_script_enabled=scripts)
    page.goto("/login")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()

    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.get_by_label("Code from the mail").fill(mailed(house, email)[0].lower())
    page.get_by_role("button", name="Confirm my e-mail").click()
    expect(page.get_by_text("Your e-mail is confirmed.")).to_be_visible()

    sign_in(page, email)
    page.get_by_role("link", name="Change your profile").click()
    page.get_by_label("First name").fill("Mia")
    page.get_by_label("Telephone").fill("0812 3456 7890")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("+62 812-3456-7890")).to_be_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download your data").click()
    assert download.value.suggested_filename == "my-data.zip"

    page.get_by_role("link", name="Delete… your account").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()


def test_a_forgotten_password_is_replaced_by_a_mailed_code(house: House, opened: Open) -> None:
    email = "forgetful@example.org"
    with house.app.app_context():
        factories.member("forgetful", utcnow())
    page, phone = opened(house), opened(house, width=PHONE)
    sign_in(phone, email)

    page.goto("/login")
    page.get_by_role("link", name="Forgotten your password?").click()
    page.get_by_label("E-mail or username").fill(email)
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("Code from the mail").fill(mailed(house, email)[0])
    page.get_by_role("textbox", name="New password").fill(NEW)
    page.get_by_role("button", name="Set the new password").click()

    expect(page.get_by_text("Your new password is set")).to_be_visible()
    sign_in(page, email, NEW)
    phone.goto("/account")
    expect(phone.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_mailed_link_confirms_by_its_button(house: House, opened: Open) -> None:
    with house.app.app_context():
        factories.newcomer("clicker", utcnow())
    page = opened(house, width=PHONE)

    page.goto(f"/activation/{mailed(house, 'clicker@example.org')[1]}")
    page.get_by_role("button", name="Yes, confirm it").click()

    expect(page.get_by_text("Your e-mail is confirmed.")).to_be_visible()
    sign_in(page, "clicker")


def test_somebody_signs_out_a_device_they_lost(house: House, opened: Open) -> None:
    with house.app.app_context():
        factories.member("loser", utcnow())
    lost, here = opened(house, width=PHONE), opened(house)
    for page in (lost, here):
        sign_in(page, "loser")

    here.get_by_role("link", name="Look where you are signed in").click()
    expect(here.get_by_role("listitem")).to_have_count(2)
    here.get_by_role("button", name="Sign out everywhere else").click()

    expect(here.get_by_role("listitem")).to_have_count(1)
    lost.goto("/account")
    expect(lost.get_by_role("heading", name="Sign in")).to_be_visible()
