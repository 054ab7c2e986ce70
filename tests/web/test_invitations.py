"""Staff issue codes, look through them, reveal, revoke and extend them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from werkzeug.test import TestResponse

from portal.clock import utcnow
from portal.domain.invitations import codes
from portal.models import AuditEvent, Invitation, Mail, Role, Session
from tests.factories import PASSWORD
from tests.pages import Page, PageClient, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[Any]], list[Any]]
Newcomer = Callable[[], PageClient]
SignIn = Callable[[Role, str], PageClient]

DAY = timedelta(days=1)
HISTORY = "/admin/invitations"
CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}\b")


def issue_by_form(browser: PageClient, **changes: str) -> TestResponse:
    """Send the form that issues a code."""
    fields = {"label": "Party", "validity": "days", "days": "7", "uses": "one", "grants_role": ""}
    return browser.submit(HISTORY, fields | changes)


def only(ask: Ask) -> Invitation:
    """The one invitation there is."""
    [invitation] = ask(sa.select(Invitation))
    return invitation


def labels(page: Page) -> list[str]:
    """The labels in the history, from the top."""
    return [name for name, url in page.links.items() if re.fullmatch(HISTORY + r"/[\w-]{36}", url)]


def actions(ask: Ask) -> list[str]:
    """What the audit log holds about invitations."""
    return [
        action
        for action in ask(sa.select(AuditEvent.action).order_by(AuditEvent.number))
        if action.startswith("invitation.")
    ]


# --- Issue ---


def test_the_form_offers_a_week_and_one_device(olivia: PageClient) -> None:
    fields = olivia.page(f"{HISTORY}/new").fields
    assert (fields["days"], fields["validity"], fields["uses"]) == ("7", "days", "one")


def test_an_issued_code_is_shown_large_with_its_link_and_picture(olivia: PageClient) -> None:
    answer = issue_by_form(olivia)
    assert answer.status_code == 303
    page = olivia.page(answer.location)
    [code] = set(CODE.findall(page.words))
    assert codes.check_symbol(codes.canonical(code)[:-1]) == code[-1]
    html = olivia.get(answer.location).text
    assert f'value="http://localhost/?code={code}"' in html
    assert "<svg" in html


def test_an_issued_code_opens(olivia: PageClient, newcomer: Newcomer) -> None:
    code = CODE.findall(olivia.page(issue_by_form(olivia).location).words)[0]
    assert newcomer().submit("/", {"code": code}).status_code == 303


def test_all_terms_of_the_form_are_kept(olivia: PageClient, ask: Ask) -> None:
    answer = issue_by_form(
        olivia,
        label="Press list",
        validity="date",
        ends="2030-06-01T10:00",
        starts="2030-05-01T08:30",
        zone="Asia/Jakarta",
        uses="several",
        max_uses="25",
        recipient="@Example.org",
        own_code="press-2030",
        grants_role="viewer",
    )
    assert answer.status_code == 303
    invitation = only(ask)
    assert invitation.label == "Press list"
    assert invitation.expires_at == datetime(2030, 6, 1, 3, 0, tzinfo=UTC)
    assert invitation.starts_at == datetime(2030, 5, 1, 1, 30, tzinfo=UTC)
    assert invitation.max_uses == 25
    assert invitation.recipient == "@example.org"
    assert invitation.grants_role is Role.VIEWER
    page = olivia.page(f"{HISTORY}/{invitation.id}")
    for words_of_terms in ("0 of 25 used", "@example.org", "staff: viewer", "1 Jun 2030, 03:00"):
        assert words_of_terms in page.words


def test_without_javascript_times_are_utc(olivia: PageClient, ask: Ask) -> None:
    issue_by_form(olivia, validity="date", ends="2030-06-01T10:00", zone="")
    assert only(ask).expires_at == datetime(2030, 6, 1, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "\0", "."])
def test_a_zone_that_is_none_is_utc(olivia: PageClient, ask: Ask, zone: str) -> None:
    issue_by_form(olivia, validity="date", ends="2030-06-01T10:00", zone=zone)
    assert only(ask).expires_at == datetime(2030, 6, 1, 10, 0, tzinfo=UTC)


def test_a_code_may_have_no_end_and_admit_any_number(olivia: PageClient, ask: Ask) -> None:
    page = olivia.page(issue_by_form(olivia, validity="never", uses="unlimited").location)
    assert "Valid without end · admits any number of devices" in page.words
    assert (only(ask).expires_at, only(ask).max_uses) == (None, None)


def test_a_guessable_code_of_ones_own_is_flagged(olivia: PageClient) -> None:
    page = olivia.page(issue_by_form(olivia, own_code="welcome1").location)
    assert "welcome1" in page.words
    assert "easy to guess" in page.words


def test_a_code_can_be_mailed_to_the_one_it_is_bound_to(olivia: PageClient, ask: Ask) -> None:
    assert issue_by_form(olivia, recipient="ada@example.org", mailed="y").status_code == 303
    [mail] = ask(sa.select(Mail))
    assert "ada@example.org" in olivia.page("/admin/mails").words
    assert CODE.search(words(olivia.submit(f"/admin/mails/{mail.id}/code")))


def test_no_mail_is_written_unless_it_was_asked_for(olivia: PageClient, ask: Ask) -> None:
    issue_by_form(olivia, recipient="ada@example.org")
    assert ask(sa.select(Mail.id)) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label": "x" * 121}, "longer than 120"),
        ({"label": "a\r\nBcc: all@example.org"}, "one line of plain text"),  # case 54
        ({"label": "a\0b"}, "one line of plain text"),
        ({"days": ""}, "Enter a number of days."),
        ({"days": "0"}, "between 1 and 3650"),
        ({"days": "-3"}, "between 1 and 3650"),
        ({"days": "1e9"}, "Not a valid integer"),
        ({"days": "9" * 5000}, "Not a valid integer"),
        ({"validity": "date", "ends": ""}, "Enter a date and time."),
        ({"validity": "date", "ends": "tomorrow"}, "Not a valid datetime"),
        ({"validity": "date", "ends": "2001-01-01T00:00"}, "must end after"),
        ({"validity": "date", "ends": "9999-12-31T23:59", "zone": "America/Lima"}, "nearer"),
        ({"starts": "0001-01-01T00:00", "zone": "Asia/Jakarta"}, "nearer to today"),
        ({"starts": "2030-01-01T00:00"}, "must end after it opens"),
        ({"validity": "for ever"}, "Not a valid choice"),
        ({"uses": "several", "max_uses": ""}, "Enter how many devices it admits."),
        ({"uses": "several", "max_uses": "0"}, "between 1 and 1000000"),
        ({"recipient": "nobody"}, "This is not an e-mail address."),
        ({"recipient": "a@x.org, b@y.org"}, "This is not an e-mail address."),
        ({"recipient": "@example.org", "mailed": "y"}, "Only an invitation bound to one"),
        ({"mailed": "y"}, "Only an invitation bound to one"),
        ({"own_code": "abc"}, "6 to 32 letters or digits"),
        ({"own_code": "ABCDEFGHJKMN"}, "one of our own codes with a typo"),
        ({"grants_role": "god"}, "Not a valid choice"),
        ({"grants_role": "member"}, "Not a valid choice"),
    ],
)
def test_terms_that_will_not_do_are_explained_and_nothing_is_issued(
    olivia: PageClient, ask: Ask, changes: dict[str, str], sentence: str
) -> None:
    answer = issue_by_form(olivia, **changes)
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert ask(sa.select(Invitation.id)) == []


def test_a_code_is_issued_once(olivia: PageClient, issue: Issue) -> None:
    issue("Garden-Party")
    answer = issue_by_form(olivia, own_code="garden party")
    assert answer.status_code == 422
    assert "This code was issued before." in words(answer)


def test_a_refused_form_keeps_what_was_typed(olivia: PageClient) -> None:
    fields = Page(issue_by_form(olivia, label="Press", days="0", recipient="ada@x.org").text).fields
    assert (fields["label"], fields["days"], fields["recipient"]) == ("Press", "0", "ada@x.org")


def test_an_admin_cannot_make_owners(alice: PageClient, ask: Ask) -> None:
    assert "Staff: owner" not in alice.page(f"{HISTORY}/new").words
    assert issue_by_form(alice, grants_role="owner").status_code == 422  # case 61
    assert ask(sa.select(Invitation.id)) == []


def test_only_whoever_issued_a_code_is_shown_it_unasked(
    olivia: PageClient, alice: PageClient
) -> None:
    url = issue_by_form(olivia).location
    answer = alice.get(url)
    assert answer.status_code == 302
    assert answer.location == url.removesuffix("/issued")


# case 96
def test_a_new_code_is_shown_unasked_in_the_browser_that_issued_it_alone(
    olivia: PageClient, newcomer: Newcomer
) -> None:
    url = issue_by_form(olivia).location
    elsewhere = newcomer()
    elsewhere.submit("/login", {"identity": "olivia", "password": PASSWORD})
    assert elsewhere.get(url).status_code == 302
    assert olivia.get(url).status_code == 200


def test_a_new_code_is_shown_unasked_for_fifteen_minutes(olivia: PageClient) -> None:
    url = issue_by_form(olivia).location
    with time_machine.travel(utcnow(), tick=False) as clock:
        clock.shift(timedelta(minutes=14, seconds=50))
        assert CODE.search(olivia.page(url).words)
        clock.shift(timedelta(seconds=15))
        assert olivia.get(url).status_code == 302


# --- The history ---


def test_an_empty_history_says_what_to_do(olivia: PageClient, vera: PageClient) -> None:
    page = olivia.page(HISTORY)
    assert "No invitation has been issued yet" in page.words
    assert "0 invitations" in page.words
    assert page.links["Issue a code"] == f"{HISTORY}/new"
    assert "Issue a code" not in vera.page(HISTORY).links


def test_the_newest_invitation_stands_first(olivia: PageClient, issue: Issue) -> None:
    for label in ("first", "second", "third"):
        issue(label=label)
    assert labels(olivia.page(HISTORY)) == ["third", "second", "first"]


def test_a_row_shows_the_terms_and_never_the_code(olivia: PageClient, issue: Issue) -> None:
    issued = issue(label="Party", max_uses=5, recipient="@example.org")
    page = olivia.page(HISTORY)
    for shown in ("Party", "@example.org", issued.code[-4:], "active", "0 of 5", "by ida"):
        assert shown in page.words
    assert issued.code not in page.words


def test_an_invitation_without_a_label_is_called_by_its_recipient(
    olivia: PageClient, issue: Issue
) -> None:
    issue(recipient="ada@example.org")
    assert labels(olivia.page(HISTORY)) == ["ada@example.org"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("garden", ["Garden party"]),
        ("PARTY", ["Pool Party", "Garden party"]),
        ("ada@", ["Press"]),
        ("%", ["100% sure"]),
        ("_", ["under_score"]),
        ("nothing like it", []),
        ("a\0b", []),
    ],
)
def test_search_looks_at_labels_and_recipients(
    olivia: PageClient, issue: Issue, search: str, found: list[str]
) -> None:
    issue(label="Garden party")
    issue(label="Pool Party")
    issue(label="Press", recipient="ada@example.org")
    issue(label="100% sure")
    issue(label="under_score")
    page = olivia.page(HISTORY, query_string={"q": search})
    assert labels(page) == found
    assert page.fields["q"] == search
    assert ("Nothing matches" in page.words) is (not found)


def test_a_whole_code_finds_its_invitation_however_it_is_written(
    olivia: PageClient, issue: Issue
) -> None:
    issued = issue(label="Party")
    issue(label="Other")
    for written in (issued.code, issued.code.lower(), issued.code.replace("-", " ")):
        assert labels(olivia.page(HISTORY, query_string={"q": written})) == ["Party"]


def test_a_part_of_a_code_finds_nothing(olivia: PageClient, issue: Issue) -> None:
    issued = issue(label="Party")
    assert labels(olivia.page(f"{HISTORY}?q={issued.code[:9]}")) == []


@pytest.mark.parametrize("status", ["scheduled", "active", "used", "expired", "revoked"])
def test_each_state_can_be_filtered(
    olivia: PageClient, newcomer: Newcomer, issue: Issue, status: str
) -> None:
    issue(label="active")
    issue(label="scheduled", starts_at=utcnow() + DAY)
    issue(label="expired", now=utcnow() - 30 * DAY)
    newcomer().submit("/", {"code": issue(label="used").code})
    olivia.submit(f"{issue(label='revoked').page}/revocation")
    page = olivia.page(f"{HISTORY}?status={status}")
    assert labels(page) == [status]
    assert "1 invitation found" in page.words


def test_the_period_counts_both_of_its_days(olivia: PageClient, issue: Issue) -> None:
    for day in (1, 2, 3):
        issue(label=f"day {day}", now=datetime(2026, 3, day, 23, 59, tzinfo=UTC))
    page = olivia.page(f"{HISTORY}?since=2026-03-02&until=2026-03-02")
    assert labels(page) == ["day 2"]
    assert labels(olivia.page(f"{HISTORY}?since=2026-03-02")) == ["day 3", "day 2"]
    assert len(labels(olivia.page(f"{HISTORY}?until=9999-12-31"))) == 3


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("-issued", "CBA"),
        ("issued", "ABC"),
        ("label", "ABC"),
        ("-label", "CBA"),
        ("expires", "BAC"),
        ("-expires", "CAB"),
        ("-uses", "BCA"),
    ],
)
def test_the_history_sorts_by_each_of_its_columns(
    olivia: PageClient, newcomer: Newcomer, issue: Issue, sort: str, order: str
) -> None:
    issue(label="A", expires_at=utcnow() + 3 * DAY)
    used = issue(label="B", expires_at=utcnow() + 2 * DAY)
    newcomer().submit("/", {"code": used.code})
    issue(label="C", expires_at=None)
    assert "".join(labels(olivia.page(f"{HISTORY}?sort={sort}"))) == order


@pytest.mark.parametrize("sort", ["-issued", "label", "expires", "-uses"])
def test_links_lead_through_all_pages_and_back(olivia: PageClient, issue: Issue, sort: str) -> None:
    for number in range(25):
        issue(label=f"{number:02}")
    older, newer = ("Older →", "← Newer") if sort == "-issued" else ("On →", "← Back")
    page, pages = olivia.page(f"{HISTORY}?size=10&sort={sort}"), []
    while older in page.links:
        pages.append(labels(page))
        page = olivia.page(page.links[older])
    pages.append(labels(page))
    assert [len(rows) for rows in pages] == [10, 10, 5]
    assert len({label for rows in pages for label in rows}) == 25
    assert "25 invitations" in page.words
    back = olivia.page(page.links[newer])
    assert labels(back) == pages[1]
    assert labels(olivia.page(back.links[newer])) == pages[0]


def test_a_page_link_keeps_the_whole_view(olivia: PageClient, issue: Issue) -> None:
    for number in range(11):
        issue(label=f"party {number}")
    page = olivia.page(f"{HISTORY}?size=10&q=party&status=active&sort=label")
    there = page.links["On →"]
    for part in ("size=10", "q=party", "status=active", "sort=label"):
        assert part in there


@pytest.mark.parametrize("size", [10, 25, 50, 100])
def test_a_page_has_one_of_four_sizes(olivia: PageClient, issue: Issue, size: int) -> None:
    for _ in range(12):
        issue(label=codes.draw())
    page = olivia.page(f"{HISTORY}?size={size}")
    assert len(labels(page)) == min(size, 12)
    html = olivia.get(f"{HISTORY}?size={size}").text
    assert re.search(rf'<option selected value="{size}">', html)


@pytest.mark.parametrize(
    "query",
    [
        "sort=password_hash",  # case 59
        "sort=-created_by_id",
        "sort=--issued",
        "size=1e9",  # case 70
        "size=1000000000",
        "size=-1",
        "size=0",
        "size=text",
        "status=gone",
        "since=yesterday",
        "until=2026-02-30",
        "cursor=nonsense",
        "cursor=WyJhZnRlciIsMSwyXQ.x",
        f"q={'x' * 121}",
    ],
)
def test_a_view_that_no_form_of_ours_asks_for_is_400(olivia: PageClient, query: str) -> None:
    for url in (HISTORY, f"{HISTORY}/history"):
        assert olivia.get(f"{url}?{query}").status_code == 400


def test_a_cursor_of_another_order_is_400(olivia: PageClient, issue: Issue) -> None:
    for _ in range(11):
        issue()
    there = olivia.page(f"{HISTORY}?size=10").links["Older →"]
    assert olivia.get(f"{there}&sort=label").status_code == 400


@pytest.mark.parametrize(
    "query", ["endpoint=x", "_scheme=javascript&_external=1", "_anchor=x", "_method=POST"]
)
def test_names_that_are_not_ours_never_reach_a_link(
    olivia: PageClient, issue: Issue, query: str
) -> None:
    for _ in range(11):
        issue()
    there = olivia.page(f"{HISTORY}?size=10&{query}").links["Older →"]
    assert re.fullmatch(rf"{HISTORY}\?size=10&cursor=[\w.-]+", there.replace("&amp;", "&"))
    pushed = olivia.get(f"{HISTORY}/history?size=10&{query}").headers["HX-Push-Url"]
    assert pushed == f"{HISTORY}?size=10"


@pytest.mark.parametrize("raw", ["q=\xff\xfe", "q=\xc3\xa9", "q=\xe4\xb8\xad"])
def test_bytes_that_no_browser_sends_break_nothing(olivia: PageClient, raw: str) -> None:
    for url in (HISTORY, f"{HISTORY}/history"):
        answer = olivia.get(url, environ_overrides={"QUERY_STRING": raw})
        assert answer.status_code == (400 if "\xff" in raw else 200)


def test_the_rows_alone_are_a_fragment_that_names_the_address_of_its_page(
    olivia: PageClient, issue: Issue
) -> None:
    issue(label="Party")
    answer = olivia.get(f"{HISTORY}/history?q=party&status=&size=10")
    assert "<html" not in answer.text
    assert answer.text.lstrip().startswith('<section id="invitations-history"')
    assert answer.headers["HX-Push-Url"] == f"{HISTORY}?q=party&size=10"


# --- One invitation ---


def test_the_page_of_an_invitation_tells_its_story(
    olivia: PageClient, newcomer: Newcomer, issue: Issue
) -> None:
    issued = issue(label="Party", recipient="ada@example.org")
    guest = newcomer()
    guest.get(f"/?code={issued.code}", headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"})
    guest.submit(
        "/",
        {"code": issued.code, "email": "ada@example.org"},
        headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"},
    )
    olivia.submit(f"{issued.page}/code")
    olivia.submit(f"{issued.page}/revocation")
    page = olivia.page(issued.page)
    assert "ada@example.org at 127.0.0.1 · Firefox" in page.words
    story = page.words[page.words.index("What happened") :]
    told = ["Issued by ida", "Redeemed", "Code shown by olivia", "Revoked by olivia"]
    assert sorted(told, key=story.index) == told
    assert "Link first opened" in story


def test_an_unknown_invitation_is_404(olivia: PageClient) -> None:
    nothing = f"{HISTORY}/01939c3e-0000-7000-8000-000000000000"
    for url in (nothing, f"{nothing}/revocation", f"{nothing}/extension", f"{nothing}/issued"):
        assert olivia.get(url).status_code == 404
    for url in (f"{nothing}/code", f"{nothing}/revocation", f"{nothing}/extension"):
        assert olivia.submit(url).status_code == 404
    assert olivia.get(f"{HISTORY}/not-an-id").status_code == 404


def test_showing_a_code_again_stands_in_the_audit_log(
    olivia: PageClient, issue: Issue, ask: Ask
) -> None:
    issued = issue()
    assert issued.code in words(olivia.submit(f"{issued.page}/code"))
    fragment = olivia.submit(f"{issued.page}/code/fragment")
    assert issued.code in words(fragment)
    assert "<html" not in fragment.text
    assert actions(ask)[1:] == ["invitation.code_shown"] * 2


def test_a_viewer_sees_no_code_on_any_page(
    vera: PageClient, olivia: PageClient, newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:  # case 62
    code = CODE.findall(olivia.page(issue_by_form(olivia, recipient="ada@x.org").location).words)[0]
    own = issue("very-own-code").code
    newcomer().get(f"/?code={code}")
    pages = ["/admin/", "/admin/overview", HISTORY, f"{HISTORY}/history", f"{HISTORY}?q={code[:4]}"]
    for invitation in ask(sa.select(Invitation.id)):
        page = f"{HISTORY}/{invitation}"
        pages.append(page)
        for url in ("/issued", "/revocation", "/extension", "/extension/fragment"):
            assert vera.get(page + url).status_code == 403
        for url in ("/code", "/code/fragment", "/revocation", "/extension"):
            answer = vera.submit(page + url)
            assert answer.status_code == 403
            assert code not in answer.text
    for url in pages:
        html = vera.get(url).text
        assert code not in html
        assert own not in html
        assert "/code" not in html
        assert "Issue a code" not in html
        assert "Revoke…" not in html
    assert vera.get("/admin/mails").status_code == 403


def test_a_members_and_a_viewers_try_to_issue_changes_nothing(
    vera: PageClient, mia: PageClient, ask: Ask
) -> None:
    for browser in (vera, mia):
        assert issue_by_form(browser).status_code == 403
    assert ask(sa.select(Invitation.id)) == []


# --- Revoke ---


def test_a_revoked_code_lets_nobody_in(
    olivia: PageClient, newcomer: Newcomer, issue: Issue
) -> None:
    issued = issue(label="Party")
    page = olivia.page(f"{issued.page}/revocation")
    assert "Revoke “Party”, code ending in" in page.words
    assert "signed in with it" not in page.words
    answer = olivia.submit(f"{issued.page}/revocation")
    assert (answer.status_code, answer.location) == (303, issued.page)
    page = olivia.page(issued.page)
    assert "Revoked. It lets nobody in any more." in page.words
    assert "Extend…" not in page.links
    assert newcomer().submit("/", {"code": issued.code}).status_code == 422


def test_revoking_says_who_is_in_and_ends_their_sessions_if_told_to(
    olivia: PageClient, newcomer: Newcomer, issue: Issue
) -> None:
    issued = issue(max_uses=None)
    guests = [newcomer(), newcomer()]
    for guest in guests:
        guest.submit("/", {"code": issued.code})
    page = olivia.page(f"{issued.page}/revocation")
    assert "2 people are signed in with it: end their sessions too" in page.words
    olivia.submit(f"{issued.page}/revocation", {"end_sessions": "y"})
    assert "Sessions ended: 2." in olivia.page(issued.page).words
    for guest in guests:
        assert guest.get("/welcome").status_code == 303


def test_revoking_leaves_sessions_alone_unless_told_otherwise(
    olivia: PageClient, newcomer: Newcomer, issue: Issue, ask: Ask
) -> None:
    issued, guest = issue(), newcomer()
    guest.submit("/", {"code": issued.code})
    assert "1 person is signed in with it" in olivia.page(f"{issued.page}/revocation").words
    olivia.submit(f"{issued.page}/revocation")
    assert guest.get("/welcome").status_code == 200
    living = sa.select(Session.id).where(
        Session.redemption_id.is_not(None), Session.revoked_at.is_(None)
    )
    assert len(ask(living)) == 1


def test_revoking_twice_is_told_once(olivia: PageClient, issue: Issue, ask: Ask) -> None:
    issued = issue()
    for _ in range(2):
        assert olivia.submit(f"{issued.page}/revocation").status_code == 303
    assert actions(ask).count("invitation.revoked") == 1


# --- Extend ---


def test_an_expired_invitation_can_be_extended_and_opens_again(
    olivia: PageClient, newcomer: Newcomer, issue: Issue
) -> None:
    issued = issue(now=utcnow() - 30 * DAY)
    assert "From now on" in olivia.page(f"{issued.page}/extension").words
    answer = olivia.submit(f"{issued.page}/extension", {"validity": "days", "days": "3"})
    assert (answer.status_code, answer.location) == (303, issued.page)
    page = olivia.page(issued.page)
    assert "Extended." in page.words
    assert "active" in page.words
    assert newcomer().submit("/", {"code": issued.code}).status_code == 303


def test_an_invitation_can_lose_its_end(olivia: PageClient, issue: Issue, ask: Ask) -> None:
    olivia.submit(f"{issue().page}/extension", {"validity": "never"})
    assert only(ask).expires_at is None


def test_an_invitation_can_end_at_a_moment_in_the_readers_zone(
    olivia: PageClient, issue: Issue, ask: Ask
) -> None:
    fields = {"validity": "date", "ends": "2031-01-01T00:00", "zone": "Asia/Jakarta"}
    olivia.submit(f"{issue().page}/extension", fields)
    assert only(ask).expires_at == datetime(2030, 12, 31, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"validity": "date", "ends": "2001-01-01T00:00"}, "Choose a moment in the future"),
        ({"validity": "date", "ends": ""}, "Enter a date and time."),
        ({"validity": "days", "days": ""}, "Enter a number of days."),
        ({}, "Enter a number of days."),
        ({"validity": "for ever"}, "Not a valid choice"),
    ],
)
def test_an_end_that_will_not_do_is_explained(
    olivia: PageClient, issue: Issue, fields: dict[str, str], sentence: str
) -> None:
    answer = olivia.submit(f"{issue().page}/extension", fields)
    assert answer.status_code == 422
    assert sentence in words(answer)


def test_what_is_revoked_cannot_be_extended(olivia: PageClient, issue: Issue) -> None:
    issued = issue()
    olivia.submit(f"{issued.page}/revocation")
    answer = olivia.submit(f"{issued.page}/extension", {"validity": "never"})
    assert answer.status_code == 422
    assert "was revoked and cannot be changed" in words(answer)


@pytest.mark.parametrize("verb", ["revocation", "extension"])
def test_a_question_comes_as_a_page_and_as_a_fragment(
    olivia: PageClient, issue: Issue, verb: str
) -> None:
    issued = issue()
    page = olivia.get(f"{issued.page}/{verb}").text
    fragment = olivia.get(f"{issued.page}/{verb}/fragment").text
    assert "<html" in page
    assert "<html" not in fragment
    assert f'id="invitations-{verb}"' in page
    assert f'id="invitations-{verb}"' in fragment


# --- What people write is only ever shown ---


@pytest.mark.parametrize(
    "label",
    [
        "{{7*7}}",  # case 55
        "{% raise %}",
        "<script>alert(1)</script>",  # case 56
        '<a hx-get="/logout" hx-trigger="load">x</a>',
        '"><img src=x onerror=alert(1)>',
        "' onfocus='alert(1)",
        "</title><h1>x",
    ],
)
def test_a_label_is_literal_everywhere(
    olivia: PageClient, vera: PageClient, issue: Issue, label: str
) -> None:
    issued = issue(label=label)
    for url in (HISTORY, issued.page, f"{issued.page}/revocation", f"{issued.page}/extension"):
        page = olivia.page(url)  # which fails if the label opened a tag or an attribute
        assert label in page.words
    assert label in olivia.page(issued.page).title
    assert label in words(olivia.submit(f"{issued.page}/code"))
    assert label in vera.page("/admin/").words
    assert label in words(olivia.get(HISTORY, query_string={"q": label}))
