"""Lists as OpenAI's API returns them: the query parameters of a page, and the JSON of a list."""

from collections.abc import Callable, Iterable, Sequence
from re import Pattern
from typing import Any, Protocol, TypeVar

import msgspec
from starlette.requests import Request

from homeport.api.json_response import JsonResponse
from homeport.api.query_params import read_query
from homeport.domain import validation
from homeport.domain.paging import Page, PageRequest


class HasId(Protocol):
    """An item of a page, which has an id."""

    @property
    def id(self) -> str:
        """Its id, which `after` may name."""


class PageQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a page."""

    limit: int = 20
    after: str | None = None

    def to_page_request(self, *, is_newest_first: bool = True) -> PageRequest:
        """Return the page that is requested."""
        return PageRequest(limit=self.limit, after=self.after, is_newest_first=is_newest_first)


class ListBody(msgspec.Struct, kw_only=True):
    """A list. Lists that are always returned whole have only `data`."""

    object: str = "list"
    data: Sequence[Any]
    first_id: str | msgspec.UnsetType | None = msgspec.UNSET
    last_id: str | msgspec.UnsetType | None = msgspec.UNSET
    has_more: bool | msgspec.UnsetType = msgspec.UNSET


Q = TypeVar("Q", bound=PageQuery)
T = TypeVar("T", bound=HasId)


def parse_page(request: Request, query: type[Q], *, max_limit: int, ignore: Pattern[str] | None = None) -> Q:
    """Read the query parameters of a page, except those whose names match `ignore`. Raises InvalidRequest."""
    found = read_query(request, query, ignore)
    validation.check_integer("limit", found.limit, 1, max_limit)
    return found


def render_page(page: Page[T], render: Callable[[T], object], *, with_ends: bool = True) -> JsonResponse:
    """Return a page as a response. `with_ends`: with `first_id` and `last_id`."""
    body = ListBody(data=[render(item) for item in page.items], has_more=page.has_more)
    if with_ends:
        body.first_id = page.items[0].id if page.items else None
        body.last_id = page.items[-1].id if page.items else None
    return JsonResponse(body)


def render_list(data: Iterable[object]) -> JsonResponse:
    """Return a list that has no pages as a response."""
    return JsonResponse(ListBody(data=list(data)))
