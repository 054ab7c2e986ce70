"""Where a request comes from, as the verbs need to know it."""

from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from socket import AF_INET, inet_ntop, inet_pton
from typing import NamedTuple


class Origin(NamedTuple):
    """A device at an address.

    `device` is what the surface calls the device (a signed cookie's value, a client's device id),
    with the surface's name in front so that two surfaces never mean the same by accident.
    """

    device: str
    address: str
    client: str = ""

    @property
    def device_digest(self) -> str:
        """64 hexadecimal digits: clients choose ids of any length and content."""
        return _digest(self.device)

    @property
    def address_bucket(self) -> str:
        """What one subscriber holds: an IPv4 address, or an IPv6 /64 (RFC 6177)."""
        return _bucket(self.address)


# Both are asked several times a request.
@lru_cache(maxsize=256)
def _digest(device: str) -> str:
    return sha256(device.encode()).hexdigest()


@lru_cache(maxsize=256)
def _bucket(text: str) -> str:
    try:  # most are IPv4, and a page of Python is a long way to find that out
        return inet_ntop(AF_INET, inet_pton(AF_INET, text))
    except (OSError, ValueError):
        return _bucket_of_any_kind(text)


def _bucket_of_any_kind(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Network((address, 64), strict=False))
    return str(address)


COMMAND_LINE = Origin(device="command-line", address="")
NOBODY = Origin(device="", address="")  # the portal itself
