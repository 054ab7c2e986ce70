"""The people pages: found, given roles, kept out, let in again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from portal.domain.accounts import admin
from portal.models import Account, ApiToken, Role
from tests.factories import PASSWORD
from tests.pages import PageClient, words

Ask = Callable[[sa.Select[Any]], list[Any]]
PEOPLE = "/admin/people"


@pytest.fixture
def page_of(ask: Ask) -> Callable[[str], str]:
    """Where staff look at somebody."""

    def page_of(name: str) -> str:
        found: list[UUID] = ask(sa.select(Account.id).where(Account.username == name))
        return f"{PEOPLE}/{found[0]}"

    return page_of


PageOf = Callable[[str], str]


def test_the_list_shows_everybody_and_finds_one(olivia: PageClient, mia: PageClient) -> None:
    assert "2 people" in olivia.page(PEOPLE).words
    found = olivia.page(f"{PEOPLE}?q=mia@&role=member&state=active")
    assert "1 person found" in found.words
    assert "mia@example.org" in found.words
    assert "olivia@example.org" not in found.words
    assert "Nobody matches" in olivia.page(f"{PEOPLE}?q=nobody").words


# case 89
def test_somebody_who_is_signed_out_everywhere_may_lose_the_api_tokens_too(
    olivia: PageClient, alice: PageClient, page_of: PageOf, ask: Ask
) -> None:
    alice.submit("/admin/tokens", {"name": "cron", "scope": "read", "days": ""})
    page = olivia.page(page_of("alice"))
    assert "End their 1 API token too" in page.words

    answer = olivia.submit(f"{page_of('alice')}/departure", {"end_tokens": "y"})

    assert answer.status_code == 303
    assert None not in ask(sa.select(ApiToken.revoked_at))


def test_the_fragment_of_the_list_keeps_the_address_in_step(olivia: PageClient) -> None:
    answer = olivia.get(f"{PEOPLE}/table?q=olivia&role=")
    assert "<html" not in answer.text
    assert answer.headers["HX-Push-Url"] == f"{PEOPLE}?q=olivia"


@pytest.mark.parametrize("query", ["role=emperor", "state=asleep", "q=" + "x" * 121])
def test_a_question_no_form_would_ask_is_400(olivia: PageClient, query: str) -> None:
    assert olivia.get(f"{PEOPLE}?{query}").status_code == 400


def test_a_cursor_of_ones_own_shows_people_or_nobody(olivia: PageClient) -> None:
    assert olivia.get(f"{PEOPLE}?after=%00").status_code == 200
    assert "Nobody matches" in olivia.page(f"{PEOPLE}?after=zzz").words


def test_many_people_are_paged(
    olivia: PageClient, mia: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "PAGE_SIZE", 1)
    first = olivia.page(f"{PEOPLE}?state=active")
    second = olivia.page(first.links["On →"])
    assert "olivia@example.org" in second.words
    assert second.links["← First page"] == f"{PEOPLE}?state=active"


def test_the_owner_makes_a_member_an_admin_who_was_signed_out_by_it(
    olivia: PageClient, mia: PageClient, page_of: PageOf, ask: Ask
) -> None:  # case 29
    answer = olivia.submit(f"{page_of('mia')}/role", {"role": "admin"})
    assert (answer.status_code, answer.location) == (303, page_of("mia"))
    page = olivia.page(page_of("mia"))
    assert "mia is an admin now" in page.words
    assert "Role changed to admin by olivia" in page.words
    assert mia.get("/account/picture").status_code == 303
    assert ask(sa.select(Account.role).where(Account.username == "mia")) == [Role.ADMIN]


@pytest.mark.parametrize("role", ["", "emperor"])
def test_a_role_that_does_not_exist_is_given_to_nobody(
    olivia: PageClient, mia: PageClient, page_of: PageOf, role: str
) -> None:
    assert olivia.submit(f"{page_of('mia')}/role", {"role": role}).status_code == 422


def test_the_last_owner_is_told_why_the_role_stays(
    olivia: PageClient, page_of: PageOf
) -> None:  # case 26
    answer = olivia.submit(f"{page_of('olivia')}/role", {"role": "member"})
    assert answer.status_code == 422
    assert "This is the only owner." in words(answer)
    assert olivia.get(PEOPLE).status_code == 200


def test_an_admin_sees_the_role_but_no_form_for_it(
    alice: PageClient, mia: PageClient, page_of: PageOf
) -> None:
    assert "Give this role" not in alice.page(page_of("mia")).words
    assert alice.submit(f"{page_of('mia')}/role", {"role": "owner"}).status_code == 403


def test_an_admin_sees_no_buttons_beside_staff(
    olivia: PageClient, alice: PageClient, page_of: PageOf
) -> None:
    page = alice.page(page_of("olivia"))
    assert "Deactivate" not in page.words
    assert "Sign out everywhere" not in page.words
    assert alice.submit(f"{page_of('olivia')}/deactivation").status_code == 403


def test_somebody_is_kept_out_and_let_in_again(
    olivia: PageClient, mia: PageClient, page_of: PageOf
) -> None:  # case 29
    olivia.submit(f"{page_of('mia')}/deactivation")
    assert mia.get("/account/picture").status_code == 303
    assert "Deactivated" in olivia.page(page_of("mia")).words
    credentials = {"identity": "mia", "password": PASSWORD}
    assert "deactivated" in words(mia.submit("/login", credentials))
    olivia.submit(f"{page_of('mia')}/activation")
    assert mia.submit("/login", credentials).status_code == 303


def test_somebody_is_signed_out_everywhere(
    olivia: PageClient, mia: PageClient, page_of: PageOf
) -> None:
    assert "last seen" in olivia.page(page_of("mia")).words
    olivia.submit(f"{page_of('mia')}/departure")
    assert mia.get("/account/picture").status_code == 303
    assert "Nowhere now." in olivia.page(page_of("mia")).words


def test_a_locked_sign_in_is_shown_and_unlocked(
    olivia: PageClient,
    mia: PageClient,
    newcomer: Callable[[], PageClient],
    page_of: PageOf,
) -> None:
    eve = newcomer()
    for _ in range(10):
        eve.submit("/login", {"identity": "mia", "password": "wrong horse"})
    assert "locked for a while" in olivia.page(page_of("mia")).words
    olivia.submit(f"{page_of('mia')}/unlocking")
    assert "locked for a while" not in olivia.page(page_of("mia")).words
    answer = newcomer().submit("/login", {"identity": "mia", "password": PASSWORD})
    assert answer.status_code == 303


def test_ones_own_page_has_no_button_to_lock_oneself_out(
    olivia: PageClient, page_of: PageOf
) -> None:
    assert "Deactivate" not in olivia.page(page_of("olivia")).words
    assert olivia.submit(f"{page_of('olivia')}/deactivation").status_code == 403


# case 82
@pytest.mark.parametrize(
    ("verb", "form"), [("role", {"role": "viewer"}), ("deactivation", {})], ids=["role", "off"]
)
def test_the_staff_codes_of_somebody_are_shown_and_end_with_the_role(
    olivia: PageClient, alice: PageClient, page_of: PageOf, verb: str, form: dict[str, str]
) -> None:
    terms = {"validity": "never", "uses": "one", "label": "My way back", "grants_role": "admin"}
    assert alice.submit("/admin/invitations", terms).status_code == 303
    assert alice.submit("/admin/invitations", terms | {"grants_role": ""}).status_code == 303
    url = page_of("alice")
    assert "1 open, issued by alice" in olivia.page(url).words
    assert (
        "1 open staff code that you issued will be revoked" in alice.page("/account/deletion").words
    )

    olivia.submit(f"{url}/{verb}", form)

    page = olivia.page(url).words
    assert "Staff codes revoked: 1." in page
    assert "issued by alice" not in page
