"""Checks of what can only be broken by a bug of ours. They hold in optimised runs too. Knows nothing else."""

from typing import TypeVar

T = TypeVar("T")


def require(holds: bool, what: str) -> None:
    """Raise AssertionError "this is a bug: …" where something that must hold does not."""
    if not holds:
        raise AssertionError(f"this is a bug: {what}")


def require_value(value: T | None, what: str) -> T:
    """A value that cannot be None here. Raises AssertionError where it is."""
    if value is None:
        raise AssertionError(f"this is a bug: {what}")
    return value
