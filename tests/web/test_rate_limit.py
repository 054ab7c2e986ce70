"""Floods: counted by network, with one key for all that matches no route (case 91)."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.servers import serve

pytestmark = pytest.mark.gunicorn


@contextmanager
def narrow(database_url: str) -> Iterator[httpx.Client]:
    """A portal behind a proxy that takes three requests a minute."""
    # In a process of its own: one process has one limit.
    settings = {"FLOOD_LIMIT": "3 per minute", "TRUSTED_PROXIES": "1"}
    with (
        serve(database_url, workers=1, **settings) as url,
        httpx.Client(base_url=url, trust_env=False) as crowd,
    ):
        yield crowd


def test_all_that_matches_no_route_counts_for_one_limit(database_url: str) -> None:
    with narrow(database_url) as crowd:
        requests = [("GET", "/a"), ("GET", "/b"), ("GET", "/logout"), ("BREW", "/ping")]
        answers = [crowd.request(*each) for each in [*requests, ("GET", "/api/v1/c")]]

        assert [answer.status_code for answer in answers] == [404, 404, 405, 429, 429]
        assert answers[4].json()["message"] == "too many requests, please try again later!"
        assert crowd.get("/login").status_code == 200


def test_an_ipv6_network_is_one_visitor(database_url: str) -> None:
    def visit(crowd: httpx.Client, address: str) -> int:
        return crowd.get("/login", headers={"X-Forwarded-For": address}).status_code

    with narrow(database_url) as crowd:
        inside = [visit(crowd, f"2001:db8:0:1::{number}") for number in range(4)]
        beside = visit(crowd, "2001:db8:0:2::1")
        mapped = [visit(crowd, a) for a in ("192.0.2.1", "::ffff:192.0.2.1") * 2]

    assert inside == [200, 200, 200, 429]
    assert beside == 200
    assert mapped == [200, 200, 200, 429]
