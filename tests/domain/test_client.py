"""Where a request comes from: who counts as one device, and as one subscriber."""

import pytest

from portal.domain.client import Origin


def bucket(address: str) -> str:
    """What this address is counted under."""
    return Origin(device="a device", address=address).address_bucket


def test_an_ipv4_address_is_one_subscriber() -> None:
    assert bucket("192.0.2.1") == "192.0.2.1"
    assert bucket("192.0.2.1") != bucket("192.0.2.2")


def test_an_ipv4_address_written_as_ipv6_is_the_same_subscriber() -> None:  # case 11
    assert bucket("::ffff:192.0.2.1") == bucket("192.0.2.1")
    assert bucket("::ffff:192.0.2.1") != bucket("::ffff:192.0.2.2")


def test_a_64_of_ipv6_is_one_subscriber() -> None:  # case 11
    assert bucket("2001:db8:0:1::1") == bucket("2001:DB8:0:1:ffff:ffff:ffff:ffff")
    assert bucket("2001:db8:0:1::1") != bucket("2001:db8:0:2::1")


def test_a_zone_does_not_make_another_subscriber() -> None:
    assert bucket("fe80::1%eth0") == bucket("fe80::1%eth1")


@pytest.mark.parametrize("address", ["", "localhost", "192.0.2.1, 192.0.2.2", "192.0.2.256"])
def test_whatever_is_no_address_shares_one_count(address: str) -> None:
    assert bucket(address) == "unknown"


def test_a_device_id_of_any_length_fits_its_column() -> None:
    digests = {
        Origin(device=device, address="").device_digest for device in ("a", "b", "b" * 10_000)
    }

    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {64}


def test_a_device_keeps_its_name_when_its_address_changes() -> None:
    home, cafe = Origin("phone", "192.0.2.1"), Origin("phone", "198.51.100.1", "another browser")

    assert home.device_digest == cafe.device_digest
