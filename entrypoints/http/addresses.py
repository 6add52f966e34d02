"""IP addresses, as limits count them."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

_NETWORK_BITS: Final = 64


def network_of(address: str) -> str:
    """The address; an IPv6 address counts as its network, the first 64 bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((parsed, _NETWORK_BITS), strict=False))
