"""The way of a request: who is believed about where it comes from."""

import pytest

from portal.ops.doctor import Level, Route, client_address


@pytest.mark.parametrize(
    ("route", "level"),
    [
        (Route("203.0.113.9", (), "203.0.113.9", 0), Level.GOOD),
        (Route("10.0.0.2", ("203.0.113.9",), "203.0.113.9", 1), Level.GOOD),
        (Route("10.0.0.2", ("203.0.113.9", "10.0.0.3"), "203.0.113.9", 2), Level.GOOD),
        (Route("10.0.0.2", ("203.0.113.9",), "10.0.0.2", 0), Level.BAD),
        (Route("10.0.0.2", ("203.0.113.9", "10.0.0.3"), "10.0.0.3", 1), Level.BAD),
        (Route("203.0.113.9", (), "203.0.113.9", 1), Level.BAD),
        (Route("10.0.0.2", ("203.0.113.9",), "10.0.0.2", 2), Level.BAD),
        (Route("9.9.9.9", ("1.1.1.1",), "9.9.9.9", 0), Level.WARN),
    ],
)
def test_trusted_proxies_that_do_not_fit_are_noticed(route: Route, level: Level) -> None:  # case 66
    found = client_address(route)

    assert found.level is level
    if level is Level.BAD:
        assert f"TRUSTED_PROXIES={len(route.forwarded)}" in found.advice
