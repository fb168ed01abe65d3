"""Where other machines reach a server."""

import ipaddress

import pytest

from stream.addresses import lan_addresses, local_address, url_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_nobody_else_reaches_loopback(host: str) -> None:
    assert lan_addresses(host) == []


@pytest.mark.parametrize("host", ["192.168.7.7", "fd00::7", "maps.example"])
def test_a_given_address_is_the_only_one(host: str) -> None:
    assert lan_addresses(host) == [host]


def test_all_addresses_are_those_that_others_can_use() -> None:
    for host in ("0.0.0.0", "::"):
        found = lan_addresses(host)
        assert len(set(found)) == len(found)
        for text in found:
            address = ipaddress.ip_address(text)
            assert not any((address.is_loopback, address.is_link_local, address.is_unspecified))
    assert set(lan_addresses("0.0.0.0")) <= set(lan_addresses("::"))


def test_urls_have_brackets_where_they_must() -> None:
    assert url_of("https", "fd00::7", 1) == "https://[fd00::7]:1"
    assert url_of("http", "192.168.7.7", 1) == "http://192.168.7.7:1"
    assert local_address("0.0.0.0") == "127.0.0.1"
    assert local_address("::") == "::1"
    assert local_address("192.168.7.7") == "192.168.7.7"
