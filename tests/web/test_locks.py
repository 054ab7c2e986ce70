"""The unlock desk, for staff who issue invitations."""

from collections.abc import Callable

import pytest

from tests.pages import PageClient
from tests.web.conftest import Issue, Issued


@pytest.fixture
def locked(newcomer: Callable[[], PageClient], issue: Issue) -> tuple[PageClient, Issued]:
    """A browser that was locked out, each time with nearly the right code."""
    party = issue(label="Garden party")
    browser = newcomer()
    for _ in range(3):
        browser.submit("/", {"code": party.code[:-1] + ("2" if party.code[-1] != "2" else "3")})
    assert browser.get("/").status_code == 429
    return browser, party


def test_the_desk_shows_who_is_locked_out_and_how_near_they_were(
    alice: PageClient, locked: tuple[PageClient, Issued]
) -> None:
    page = alice.page("/admin/locks")

    assert "from 127.0.0.1" in page.words
    assert f"One character away from …{locked[1].code[-4:]} , Garden party" in page.words
    assert locked[1].code not in page.words


def test_whoever_is_unlocked_gets_in(alice: PageClient, locked: tuple[PageClient, Issued]) -> None:
    browser, party = locked
    device = alice.page("/admin/locks").fields["device"]

    answer = alice.submit("/admin/locks/devices/release", {"device": device})

    assert (answer.status_code, answer.location) == (303, "/admin/locks")
    assert "No device is locked out." in alice.page("/admin/locks").words
    assert browser.submit("/", {"code": party.code}).status_code == 303


@pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 3}])
def test_an_address_is_unlocked(alice: PageClient, locked: tuple[PageClient, Issued]) -> None:
    assert "127.0.0.1" in alice.page("/admin/locks").words

    answer = alice.submit("/admin/locks/addresses/release", {"bucket": "127.0.0.1"})

    assert answer.status_code == 303
    assert "No address has to wait." in alice.page("/admin/locks").words


def test_the_dashboard_leads_to_the_desk(
    alice: PageClient, locked: tuple[PageClient, Issued]
) -> None:
    assert alice.page("/admin/").links["1 device locked out now"] == "/admin/locks"


def test_the_invitee_is_told_nothing_of_how_near_it_was(
    newcomer: Callable[[], PageClient], issue: Issue
) -> None:
    code = issue().code
    near = code[:-1] + ("2" if code[-1] != "2" else "3")
    texts = set()
    for entered in (near, "WRONGWRONG12"):
        answer = newcomer().submit("/", {"code": entered}).text
        texts.add(answer.replace(entered, "").partition('name="csrf_token"')[0])

    assert len(texts) == 1
