"""Assertions that only a bug in Homeport can violate. Unlike `assert`, they also run under `python -O`."""

from typing import TypeVar

T = TypeVar("T")


def require(condition: bool, message: str) -> None:
    """Raise AssertionError "this is a bug: `message`" if the condition is false."""
    if not condition:
        raise AssertionError(f"this is a bug: {message}")


def require_value(value: T | None, message: str) -> T:
    """Return a value that cannot be None here. Raises AssertionError if it is."""
    if value is None:
        raise AssertionError(f"this is a bug: {message}")
    return value
