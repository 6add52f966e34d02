"""Which hosts are this machine, so that plaintext to them does not leave it."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether ``host`` is ``localhost`` or a loopback address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
