"""The files that a request names, wherever in it: found and replaced by one walk over its structs.

Knows no kind of request: which fields can hold a file follows from their types, so prompts of many tokens cost nothing.
"""

from collections.abc import Callable
from functools import cache
from inspect import isclass
from typing import Any, TypeVar, cast, get_args, get_type_hints

import msgspec

from homeport.domain.content import Attachment
from homeport.domain.models import Adapter

File = Attachment | Adapter
V = TypeVar("V")


def list_files(value: object) -> list[File]:
    """Return every attachment and adapter in a value, in order. An adapter counts as one, without its attachment."""
    found: list[File] = []

    def note(file: File) -> File:
        found.append(file)
        return file

    replace_files(value, note)
    return found


def replace_files(value: V, replace: Callable[[File], File]) -> V:
    """Return a value with every attachment and adapter replaced; itself, if nothing has changed."""
    return cast(V, _replace(value, replace))


def _replace(value: Any, replace: Callable[[File], File]) -> Any:
    if isinstance(value, Attachment | Adapter):
        return replace(value)
    if isinstance(value, tuple):
        items = tuple(_replace(item, replace) for item in value)
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, msgspec.Struct):
        changed = {}
        for name in _fields_with_files(type(value)):
            old = getattr(value, name)
            if (new := _replace(old, replace)) is not old:
                changed[name] = new
        return msgspec.structs.replace(value, **changed) if changed else value
    return value


@cache
def _fields_with_files(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    hints = get_type_hints(kind)
    return tuple(name for name in kind.__struct_fields__ if _can_hold_file(hints[name]))


def _can_hold_file(hint: Any) -> bool:
    if hint in (Attachment, Adapter):
        return True
    if isclass(hint) and issubclass(hint, msgspec.Struct):
        return bool(_fields_with_files(hint))
    return any(_can_hold_file(argument) for argument in get_args(hint))
