"""The origin of a request, as far as the verbs need to know it."""

from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address
from socket import AF_INET, inet_ntop, inet_pton
from typing import NamedTuple


class Origin(NamedTuple):
    """A device at an address.

    `device` is the surface's id for the device (a signed cookie's value, a client's device id),
    prefixed with the surface's name so that ids of two surfaces never collide. It is empty where
    the surface has no device ids: people behind one address may use the same program without being
    one device.
    """

    device: str
    address: str
    client: str = ""

    @property
    def device_digest(self) -> str:
        """64 hex digits, since clients choose ids of any length; empty without a device."""
        return _digest(self.device) if self.device else ""

    @property
    def place(self) -> str:
        """Where an account signs in: on this device, or else at this address with this program.

        64 hex digits. It tells new places from known ones. Unlike a device, a place may be shared,
        so no attempts are counted against it and no redemption is tied to it.
        """
        return self.device_digest or _digest(f"{self.address}\n{self.client}")

    @property
    def address_bucket(self) -> str:
        """The network this address belongs to, see `network_of`."""
        return network_of(self.address)


# Both are called several times per request.
@lru_cache(maxsize=256)
def _digest(device: str) -> str:
    return sha256(device.encode()).hexdigest()


@lru_cache(maxsize=256)
def network_of(address: str) -> str:
    """One subscriber's network: an IPv4 address, or an IPv6 /64 (RFC 6177).

    Everything counted by address is counted by this. Returns `unknown` for invalid addresses.
    """
    try:  # a fast path, since most are IPv4 and `ipaddress` is slow
        return inet_ntop(AF_INET, inet_pton(AF_INET, address))
    except (OSError, ValueError):
        return _network_of_any_kind(address)


def _network_of_any_kind(text: str) -> str:
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
