"""The lockout, against many processes, restarts and made-up addresses."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest
import sqlalchemy as sa
from httpx import Response

from portal.clock import utcnow
from portal.extensions import db
from portal.models import Account, AttemptCounter, Role
from tests import factories
from tests.factories import code_of
from tests.faults.attack import (
    Browser,
    at_once,
    browsers,
    evaluated,
    guess,
    ledger,
    must_break,
    statuses,
    twins,
    uses,
)
from tests.faults.conftest import Serve
from tests.pages import PageClient

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

FIFTY = 50
AT_ONE_ADDRESS = {"TRUSTED_PROXIES": "0"}


@pytest.fixture
def invited(olivia: Account) -> tuple[str, UUID]:
    """A code that would let somebody in, and whose it is."""
    invitation = factories.invitation(olivia, utcnow())
    return code_of(invitation), invitation.id


# case 7
def test_after_three_failures_a_valid_code_is_refused_and_not_consumed(
    serve_portal: Serve, invited: tuple[str, UUID]
) -> None:
    code, invitation = invited
    with serve_portal() as url:
        browser = Browser.open(url)
        answers = [browser.redeem(guess()) for _ in range(3)]
        refused = browser.redeem(code)

    assert [answer.status_code for answer in answers] == [422, 422, 429]
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 30 * 60
    assert (uses(invitation), ledger(invitation)) == (0, 0)


# case 8
def test_a_guess_counts_a_try_and_a_miss_and_nothing_else(client: PageClient) -> None:
    # A flood limit counted beside them would make all requests wait at its row.
    client.submit("/", {"code": guess()})

    keys = db.session.scalars(sa.select(AttemptCounter.key)).all()
    assert sorted(key.partition("/")[0] for key in keys) == ["misses", "tries"]


# case 8
@pytest.mark.pooler
def test_of_fifty_parallel_guesses_of_a_device_three_are_evaluated(serve_portal: Serve) -> None:
    with serve_portal() as url:
        browser = Browser.open(url)
        answers = at_once(_guesses_of(twins(FIFTY, browser)))

    assert evaluated() == 3
    assert statuses(answers) == {422: 2, 429: 48}


# case 8, its control
def test_counting_afterwards_would_let_parallel_guesses_through(serve_unguarded: Serve) -> None:
    def attack() -> bool:
        browser, before = Browser.open(url), evaluated()
        at_once(_guesses_of(twins(FIFTY, browser)))
        return evaluated() - before > 3

    with serve_unguarded(UNGUARDED="tries_counted_afterwards") as url:
        must_break(attack)


# case 8, for the address
def test_of_fifty_devices_at_one_address_as_many_guess_as_its_budget_allows(
    serve_portal: Serve,
) -> None:
    with serve_portal(**AT_ONE_ADDRESS, ADDRESS_MISSES_PER_HOUR="10") as url:
        answers = at_once(_guesses_of(browsers(FIFTY, url)))

    assert evaluated() == 10
    assert statuses(answers) == {422: 10, 429: 40}


# case 8, for the address, its control
def test_looking_at_the_budget_without_waiting_would_overdraw_it(serve_unguarded: Serve) -> None:
    def attack() -> bool:
        before = evaluated()
        db.session.execute(sa.delete(AttemptCounter))
        db.session.commit()
        at_once(_guesses_of([device.twin() for device in devices]))
        return evaluated() - before > 10

    narrow = AT_ONE_ADDRESS | {"ADDRESS_MISSES_PER_HOUR": "10"}
    with serve_unguarded(UNGUARDED="misses_not_reserved", **narrow) as url:
        devices = browsers(FIFTY, url)
        must_break(attack)


# case 9
def test_clearing_or_replaying_the_cookie_does_not_widen_the_budget_of_the_address(
    serve_portal: Serve, invited: tuple[str, UUID]
) -> None:
    code, invitation = invited
    with serve_portal(**AT_ONE_ADDRESS, ADDRESS_MISSES_PER_HOUR="8") as url:
        browser, other = browsers(2, url)
        before = browser.twin()
        replayed = [before.twin().redeem(guess()).status_code for _ in range(4)]
        cleared = []
        for _ in range(8):
            browser.forget_device()
            cleared.append(browser.redeem(guess()).status_code)
        with_the_code = other.redeem(code)

    assert replayed == [422, 422, 429, 429]
    assert cleared == [422] * 5 + [429] * 3
    assert with_the_code.status_code == 429
    assert (evaluated(), uses(invitation)) == (8, 0)


# case 10
def test_made_up_addresses_fall_into_one_bucket(serve_portal: Serve) -> None:
    with serve_portal(**AT_ONE_ADDRESS, ADDRESS_MISSES_PER_HOUR="4") as url:
        answers = _guesses_from_made_up_addresses(url)

    assert answers == [422] * 4 + [429] * 4


# case 10, its control
def test_a_proxy_that_is_trusted_without_being_there_would_give_each_lie_a_bucket(
    serve_portal: Serve,
) -> None:
    with serve_portal(ADDRESS_MISSES_PER_HOUR="4") as url:
        answers = _guesses_from_made_up_addresses(url)

    assert answers == [422] * 8


# case 10
def test_behind_a_proxy_only_what_the_proxy_added_is_believed(serve_portal: Serve) -> None:
    with serve_portal(ADDRESS_MISSES_PER_HOUR="4") as url:
        answers = _guesses_from_made_up_addresses(url, proxied=", 198.51.100.7")

    assert answers == [422] * 4 + [429] * 4


# case 13
def test_guesses_on_the_landing_page_and_at_registration_share_one_budget(
    serve_portal: Serve, olivia: Account
) -> None:
    staff = code_of(factories.invitation(olivia, utcnow(), grants_role=Role.ADMIN))
    with serve_portal(ADMIN_REGISTRATION="invite") as url:
        browser = Browser.open(url)
        answers = [
            browser.redeem(guess()),
            browser.register("mallory", code=guess()),
            browser.redeem(guess()),
            browser.register("mallory", code=staff),
            browser.redeem(staff),
        ]

    assert [answer.status_code for answer in answers] == [422, 422, 429, 429, 429]
    assert evaluated() == 3


# case 18
def test_a_restart_in_mid_lock_forgets_nothing(
    serve_portal: Serve, invited: tuple[str, UUID]
) -> None:
    code, invitation = invited
    with serve_portal() as url:
        browser = Browser.open(url)
        before = [browser.redeem(guess()).status_code for _ in range(3)]
    with serve_portal() as url:
        after = browser.twin(url).redeem(code)

    assert before == [422, 422, 429]
    assert after.status_code == 429
    assert uses(invitation) == 0


# case 18, its control
def test_counters_in_memory_would_be_forgotten_by_a_restart(
    serve_unguarded: Serve, invited: tuple[str, UUID]
) -> None:
    code, _ = invited
    in_memory = {"UNGUARDED": "tries_in_memory", "workers": 1}
    with serve_unguarded(**in_memory) as url:
        browser = Browser.open(url)
        before = [browser.redeem(guess()).status_code for _ in range(3)]
    with serve_unguarded(**in_memory) as url:
        after = browser.twin(url).redeem(code)

    assert before == [422, 422, 429]
    assert after.status_code == 303


def _guesses_of(devices: list[Browser]) -> list[Callable[[], Response]]:
    return [partial(device.redeem, guess()) for device in devices]


def _guesses_from_made_up_addresses(url: str, proxied: str = "") -> list[int]:
    """The answers to eight devices, each of which names another address wherever it can."""
    made_up = [f"203.0.113.{number}" for number in range(8)]
    headers = [
        {
            "X-Forwarded-For": address + proxied,
            "X-Real-IP": address,
            "Forwarded": f"for={address}",
        }
        for address in made_up
    ]
    devices = browsers(8, url)
    return [
        device.redeem(guess(), lies).status_code
        for device, lies in zip(devices, headers, strict=True)
    ]
