"""IP addresses, as limits count them."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

_SITE_BITS: Final = 64


def site_of(address: str) -> str:
    """The network of an IPv6 address, which belongs to one customer; another address as it is."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, _SITE_BITS), strict=False))
