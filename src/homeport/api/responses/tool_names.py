"""The names that a model sees of tools: one flat name each, also of those inside a namespace.

The name depends on nothing but the tool's own names, so that calls in a history have the names of the declared tools.
"""

import hashlib

from homeport.domain.tool_fields import MAX_NAME_CHARS, check_name

MAX_GIVEN_CHARS = 128
"""The maximum length of a tool's or namespace's name as the caller writes it."""

_HASH_CHARS = 8


def model_name(name: str, namespace: str | None = None) -> str:
    """Return the name that a model sees: at most 64 characters, the end of a longer one replaced by its hash."""
    full = name if namespace is None else f"{namespace}__{name}"
    if len(full) <= MAX_NAME_CHARS:
        return full
    return f"{full[: MAX_NAME_CHARS - _HASH_CHARS - 1]}_{hashlib.sha256(full.encode()).hexdigest()[:_HASH_CHARS]}"


def check_names(name: str | None, namespace: str | None, place: str) -> str:
    """Return the name that a model sees of checked names. Raises InvalidRequest naming the field of `place`."""
    if namespace is not None:
        check_name(namespace, f"{place}.namespace", MAX_GIVEN_CHARS)
    return model_name(check_name(name, f"{place}.name", MAX_GIVEN_CHARS), namespace)
