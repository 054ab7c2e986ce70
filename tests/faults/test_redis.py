"""Floods are counted in Redis where there is one; without it, what matters still holds."""

import os
from uuid import uuid4

import httpx
import pytest

from portal.models import Account
from tests.conftest import REDIS
from tests.faults.attack import Browser, guess
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

NOBODY_THERE = "redis://127.0.0.1:1/0"


@pytest.mark.skipif(not REDIS, reason="TEST_REDIS_URL is not set")
def test_all_workers_count_a_flood_together_in_redis(serve_portal: Serve) -> None:
    address = f"2001:db8:{uuid4().hex[:4]}:{os.getpid():x}::1"
    with serve_portal(REDIS_URL=REDIS, FLOOD_LIMIT="20 per hour") as url:
        answers = [
            httpx.get(f"{url}/login", headers={"X-Forwarded-For": address}, trust_env=False)
            for _ in range(24)
        ]

    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 4
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers[20:])


@pytest.mark.skipif(not REDIS, reason="TEST_REDIS_URL is not set")
def test_a_network_and_what_matches_no_route_are_counted_together_in_redis(
    serve_portal: Serve,
) -> None:
    network = f"2001:db8:{uuid4().hex[:4]}:{os.getpid():x}"
    with serve_portal(REDIS_URL=REDIS, FLOOD_LIMIT="20 per hour") as url:
        answers = [
            httpx.get(
                f"{url}/nowhere/{number}",
                headers={"X-Forwarded-For": f"{network}::{number}"},
                trust_env=False,
            )
            for number in range(24)
        ]

    assert [answer.status_code for answer in answers] == [404] * 20 + [429] * 4


# case 76
def test_without_redis_pages_work_and_the_lockout_holds(
    serve_portal: Serve, olivia: Account
) -> None:
    with serve_portal(REDIS_URL=NOBODY_THERE) as url:
        browser = Browser.open(url)
        answers = [browser.redeem(guess()) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [422, 422, 429, 429]
