"""The dashboard, which refreshes itself while somebody can see it."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import House

HIDEABLE = """
    window.hide = (hidden) => { window.isHidden = hidden; };
    Object.defineProperty(document, "visibilityState", {
        get: () => (window.isHidden ? "hidden" : "visible"),
    });
"""
REFRESH = "**/admin/overview"


def test_the_dashboard_refreshes_every_half_minute_while_it_is_visible(
    house: House, olivia: Page
) -> None:
    asked: list[str] = []
    olivia.context.add_init_script(HIDEABLE)
    olivia.clock.install()
    olivia.goto("/admin/")
    olivia.on("request", lambda request: asked.append(request.url))

    house.issue("Came in meanwhile")
    with olivia.expect_response(REFRESH):
        olivia.clock.fast_forward(31_000)
    expect(olivia.get_by_role("link", name="Came in meanwhile")).to_be_visible()

    olivia.evaluate("hide(true)")
    asked.clear()
    olivia.clock.run_for(120_000)
    assert asked == []

    olivia.evaluate("hide(false)")
    with olivia.expect_response(REFRESH):
        olivia.clock.fast_forward(31_000)


def test_a_refresh_waits_while_the_table_of_the_chart_is_read(olivia: Page) -> None:
    asked: list[str] = []
    olivia.clock.install()
    olivia.goto("/admin/")
    olivia.get_by_text("As a table").click()
    expect(olivia.get_by_role("columnheader", name="Redeemed")).to_be_visible()
    olivia.on("request", lambda request: asked.append(request.url))
    olivia.clock.run_for(120_000)
    assert asked == []
    expect(olivia.get_by_role("columnheader", name="Redeemed")).to_be_visible()


def test_a_session_that_ended_leads_to_the_sign_in_at_the_next_refresh(olivia: Page) -> None:
    olivia.clock.install()
    olivia.goto("/admin/")
    olivia.context.clear_cookies()
    olivia.clock.fast_forward(31_000)
    expect(olivia.get_by_role("heading", name="Sign in")).to_be_visible()
