"""A page of a list: what is requested, and what is returned. Knows nothing of HTTP or SQL."""

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for at most `limit` items (None: all) that follow the item with the id `after` (None: the first)."""

    limit: int | None = None
    after: str | None = None
    is_newest_first: bool = True


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list. `has_more`: more items follow its last one."""

    items: tuple[T, ...] = ()
    has_more: bool = False
