"""What pages of other sites may have a browser ask: to open a link, and nothing else (case 90)."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from portal.domain.invitations import codes
from portal.models import AttemptCounter
from tests.factories import PASSWORD
from tests.pages import PageClient, words
from tests.web.conftest import Issue

Ask = Callable[[sa.Select[tuple[str]]], list[str]]
Newcomer = Callable[[], PageClient]

LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
SUBRESOURCES = {
    "an image": LINK | {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    "a script's request": LINK | {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    "a frame": LINK | {"Sec-Fetch-Dest": "iframe"},
    "an object": LINK | {"Sec-Fetch-Dest": "object"},
    "a prefetched link": LINK | {"Sec-Purpose": "prefetch;prerender"},
    "a neighbouring host": LINK | {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    "no mode": {"Sec-Fetch-Site": "cross-site"},
}
PATHS = (
    *("/?code=K7QM-4TXB-9RWD", "/api/v1/invitation/K7QM-4TXB-9RWD", "/login", "/nowhere"),
    *("/api/v1/user/login/K7QM-4TXB-9RWD", "/v1/login", "/mobile/login", "/usermgmt/login"),
    *("/usermgmt/check-username/mia", "/okami/auth/sign/in/step3/token"),
)


@pytest.mark.parametrize("kind", SUBRESOURCES)
def test_what_another_site_loads_is_refused_uncounted(
    client: PageClient, ask: Ask, kind: str
) -> None:
    for path in PATHS:
        for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS"):
            answer = client.open(path, method=method, headers=SUBRESOURCES[kind])
            assert answer.status_code == 403, (method, path)

    assert ask(sa.select(AttemptCounter.key)) == []


def test_a_form_that_another_site_sends_is_refused_uncounted(client: PageClient, ask: Ask) -> None:
    answer = client.submit("/", {"code": codes.draw()}, headers=LINK)

    assert answer.status_code == 403
    assert "Another site asked for this." in words(answer)
    assert ask(sa.select(AttemptCounter.key)) == []


@pytest.mark.parametrize(
    "headers", [{}, LINK, LINK | {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}]
)
def test_a_link_on_another_site_opens_the_portal(
    client: PageClient, issue: Issue, headers: dict[str, str]
) -> None:
    answer = client.get(f"/?code={issue().code}", headers=headers)

    assert "Valid until" in words(answer)


@pytest.mark.parametrize("settings_changes", [{"address_misses_per_hour": 3}])
def test_links_with_wrong_codes_stop_neither_redeeming_nor_signing_in(
    newcomer: Newcomer, issue: Issue, olivia: PageClient
) -> None:
    for _ in range(4):
        assert newcomer().get(f"/?code={codes.draw()}", headers=LINK).status_code == 200

    invitee, code = newcomer(), issue().code
    page = invitee.get(f"/?code={code}", headers=LINK)
    assert page.status_code == 200
    assert code in page.text
    assert "Valid until" not in words(page)
    assert invitee.submit("/", {"code": code}).status_code == 303
    sign_in = newcomer().submit("/login", {"identity": "olivia", "password": PASSWORD})
    assert sign_in.status_code == 303
