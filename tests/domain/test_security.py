"""Addresses of this machine, and secrets that are shown in part."""

import pytest

from homeport.domain.security import is_loopback, mask_secret


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_addresses_are_recognized(name: str) -> None:
    """Loopback is recognized by name and by address, of both versions of IP."""
    assert is_loopback(name)


@pytest.mark.parametrize("name", [None, "", "example.org", "10.0.0.1", "::2", "localhost.example.org"])
def test_other_addresses_are_not_loopback(name: str | None) -> None:
    """Other names and addresses are not loopback."""
    assert not is_loopback(name)


def test_masking_hides_short_secrets_completely() -> None:
    """Of a long secret the ends are shown, of a short one nothing."""
    assert mask_secret("sk-abcdefghcd") == "sk-ab***cd"
    assert mask_secret("short") == "***"
