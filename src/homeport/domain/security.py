"""Rules that several rooms share: which addresses are this machine's, and how much of a secret is shown."""

import ipaddress

_MIN_SHOWN_CHARS = 12


def is_loopback(host: str | None) -> bool:
    """Return whether a host name or address (without port or brackets) is this machine's loopback interface."""
    if not host:
        return False
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mask_secret(secret: str) -> str:
    """Return enough of a secret to recognize it; nothing of a short one."""
    return f"{secret[:5]}***{secret[-2:]}" if len(secret) >= _MIN_SHOWN_CHARS else "***"
