"""What is going on, at a glance."""

from collections.abc import Callable
from datetime import timedelta

from flask import Flask

from portal.clock import utcnow
from portal.domain.invitations import codes
from portal.domain.mail import outbox
from tests.pages import PageClient, words
from tests.web.conftest import Issue

Newcomer = Callable[[], PageClient]

DAY = timedelta(days=1)


def test_an_empty_portal_says_what_to_do(olivia: PageClient) -> None:
    page = olivia.page("/admin/")
    assert "No invitation has been issued yet" in page.words
    assert page.links["Issue a code"] == "/admin/invitations/new"
    assert "Nothing. All is well." in page.words


def test_a_viewer_of_an_empty_portal_is_offered_nothing_to_issue(vera: PageClient) -> None:
    assert "Issue a code" not in vera.page("/admin/").links


def test_each_state_is_counted_and_leads_to_its_rows(
    olivia: PageClient, newcomer: Newcomer, issue: Issue
) -> None:
    issue()
    issue(starts_at=utcnow() + DAY)
    for _ in range(2):
        issue(now=utcnow() - 30 * DAY)
    newcomer().submit("/", {"code": issue().code})
    olivia.submit(f"{issue().page}/revocation")
    page = olivia.page("/admin/")
    for tile in ("1 scheduled", "1 active", "1 used", "2 expired", "1 revoked"):
        state = tile.split()[1]
        assert page.links[tile] == f"/admin/invitations?status={state}"
        count = tile.split()[0]
        rows = "1 invitation found" if count == "1" else f"{count} invitations found"
        assert rows in olivia.page(page.links[tile]).words


def test_the_chart_is_a_table_too(olivia: PageClient, newcomer: Newcomer, issue: Issue) -> None:
    issue(now=utcnow() - DAY)
    newcomer().submit("/", {"code": issue().code})
    html = olivia.get("/admin/").text
    today, yesterday = utcnow(), utcnow() - DAY
    text = words(olivia.get("/admin/"))
    assert f"{today.day} {today:%b} 1 1 {yesterday.day} {yesterday:%b} 1 0" in text
    assert html.count('<rect class="issued"') == html.count('<rect class="redeemed"') == 14
    assert 'aria-hidden="true"' in html


def test_codes_that_end_soon_need_attention(olivia: PageClient, issue: Issue) -> None:
    issue(expires_at=utcnow() + timedelta(hours=47))
    issue(expires_at=utcnow() + timedelta(hours=49))
    page = olivia.page("/admin/")
    leads = page.links["1 open invitation ending within 48 hours"]
    assert "status=active" in leads
    assert olivia.page(leads.replace("&amp;", "&"))


def test_locked_devices_need_attention(olivia: PageClient, newcomer: Newcomer) -> None:
    guest = newcomer()
    for _ in range(3):
        guest.submit("/", {"code": codes.draw()})
    page = olivia.page("/admin/")
    assert "1 device locked out now" in page.words
    assert "Device locked after too many tries" in page.words


def test_mails_that_could_not_be_sent_need_attention(
    olivia: PageClient, issue: Issue, app: Flask
) -> None:
    issued = issue(recipient="ada@example.org")
    with app.app_context():
        mail = outbox.queue("invitation", to="ada@example.org", about=issued.id, now=utcnow())
        outbox.failed(mail, "550 no such mailbox", now=utcnow(), for_good=True)
    page = olivia.page("/admin/")
    assert page.links["1 mail could not be sent"] == "/admin/mails"


def test_the_latest_events_are_told_with_who_and_what(
    olivia: PageClient, alice: PageClient, issue: Issue
) -> None:
    issued = issue(label="Party")
    alice.submit(f"{issued.page}/code")
    page = olivia.page("/admin/")
    assert "Code shown Party by alice" in page.words
    assert page.links["Party"] == issued.page


def test_the_part_that_refreshes_itself_is_a_fragment_of_the_page(olivia: PageClient) -> None:
    fragment, page = olivia.get("/admin/overview").text, olivia.get("/admin/").text
    assert "<html" not in fragment
    assert fragment.lstrip().startswith('<div id="dashboard-overview"')
    assert 'hx-get="/admin/overview"' in page
    assert 'data-refresh="30"' in page
