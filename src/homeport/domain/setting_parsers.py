"""Parsers for single settings, from text or from YAML. Each raises ValueError with what is wrong."""

import re
from collections.abc import Mapping
from pathlib import Path

from homeport.domain.allowed_hosts import ANY_PUBLIC, parse_allowed_host

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


def parse_text(value: object) -> str:
    """Parse a string, and strip it."""
    if not isinstance(value, str):
        raise ValueError("is not text")
    return value.strip()


def parse_int(value: object) -> int:
    """Parse a whole number."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("is not a whole number")
    try:
        return int(value)
    except ValueError:
        raise ValueError("is not a whole number") from None


def parse_days(value: object) -> int | None:
    """Parse a whole number of days; None: `never`, without an end."""
    if isinstance(value, str) and value.strip().lower() == "never":
        return None
    try:
        return parse_int(value)
    except ValueError:
        raise ValueError("is neither a whole number of days nor `never`") from None


def parse_number(value: object) -> float:
    """Parse a finite number, such as a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is not a number")
    try:
        parsed = float(value)
    except ValueError:
        raise ValueError("is not a number") from None
    if parsed != parsed or parsed in (float("inf"), float("-inf")):
        raise ValueError("is not a finite number")
    return parsed


def parse_size(value: object) -> int:
    """Parse a size in bytes, with an optional unit (kB, MB, GB, TB are powers of 1000; KiB, MiB, GiB of 1024)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not a size such as 8GB or 512MiB")
    unit = (match[2] or "").lower()
    return int(float(match[1]) * (1024 if unit.endswith("i") else 1000) ** _POWERS[unit[:1]])


def parse_switch(value: object) -> bool:
    """Parse a switch: true, yes, on, 1 or false, no, off, 0."""
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError("is not on or off (true, false, 1, 0)")
    return word in _TRUE


def parse_words(value: object) -> tuple[str, ...]:
    """Parse a list of words; in a string they are separated by commas."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError("is not a list of words")
    return tuple(word.strip() for word in value if word.strip())


def parse_hosts(value: object) -> tuple[str, ...]:
    """Parse a list of hosts that may be reached."""
    parsed = parse_words(value)
    for entry in parsed:
        parse_allowed_host(entry)
    return parsed


def parse_public_hosts(value: object) -> tuple[str, ...]:
    """Parse a list of hosts that may be reached, or `*` for every public one."""
    parsed = parse_words(value)
    parse_hosts([entry for entry in parsed if entry != ANY_PUBLIC])
    return parsed


def parse_secrets(value: object) -> tuple[str, ...]:
    """Parse a list of words, or nothing: separators alone are an error, because no keys would mean no protection."""
    parsed = parse_words(value)
    if not parsed and value:
        raise ValueError("has separators and no value")
    return parsed


def parse_secret(value: object) -> str:
    """Parse a non-empty string: blanks alone are an error, because an empty key would protect nothing."""
    parsed = parse_text(value)
    if not parsed:
        raise ValueError("is blank")
    return parsed


def parse_pairs(value: object) -> dict[str, str]:
    """Parse a map from name to name; as a string `name=target,name=target`."""
    if isinstance(value, Mapping):
        if not all(isinstance(part, str) for item in value.items() for part in item):
            raise ValueError("is not a map from names to names")
        return dict(value)
    split = [word.partition("=") for word in parse_words(value)]
    if not all(equals and name.strip() and target.strip() for name, equals, target in split):
        raise ValueError("is not a list of name=target")
    return {name.strip(): target.strip() for name, _, target in split}


def parse_folder(value: object) -> Path:
    """Parse a path; `~` is the user's home."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError("is not a path")
    return Path(value).expanduser().absolute()
