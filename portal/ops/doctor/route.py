"""The route of a request, and whether TRUSTED_PROXIES fits it."""

from dataclasses import dataclass
from ipaddress import ip_address

from portal.ops.doctor.findings import Finding, bad, good, warn

PART = "Client address"


@dataclass(frozen=True)
class Route:
    """The route of a request: its peer, its X-Forwarded-For, and the address we settled on.

    `forwarded` holds an address for every proxy the request passed, unless its sender forged some;
    so only a request of the owner is checked.
    """

    peer: str
    forwarded: tuple[str, ...]
    seen: str
    trusted: int


def client_address(route: Route) -> Finding:
    """Check whether lockouts and rate limits count people, and not a proxy (case 66)."""
    passed = len(route.forwarded)
    if passed < route.trusted:
        return bad(
            PART,
            f"TRUSTED_PROXIES is {route.trusted}, but your request came through {passed}. "
            "Anybody can make up an address, and a new budget of tries with it.",
            f"Set TRUSTED_PROXIES={passed}, the number of proxies in front of the portal.",
        )
    if passed > route.trusted:
        return _too_few_trusted(route, passed)
    if not route.trusted:
        return good(PART, f"You come from {route.seen}, and no proxy stands between.")
    return good(PART, f"You come from {route.seen}, through {passed} trusted proxies or balancers.")


def _too_few_trusted(route: Route, passed: int) -> Finding:
    advice = f"If all of these are your own proxies, set TRUSTED_PROXIES={passed}."
    if _is_ours(route.seen):
        return bad(
            PART,
            f"Everybody seems to come from {route.seen}, which is a proxy: wrong codes of all "
            "people count against one address.",
            f"Set TRUSTED_PROXIES={passed}: your request passed {_listed(route)}.",
        )
    return warn(
        PART,
        f"You seem to come from {route.seen}; your request passed {_listed(route)}.",
        advice,
    )


def _listed(route: Route) -> str:
    return " → ".join((*route.forwarded, route.peer))


def _is_ours(address: str) -> bool:
    """Whether this is a private address, as proxies have and people do not."""
    try:
        return ip_address(address).is_private
    except ValueError:
        return True
