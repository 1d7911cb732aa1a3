"""Pages of the items of a response's input, which is read whole. Knows nothing of HTTP."""

from collections.abc import Sequence

from homeport.api.responses.schema import InputItemsQuery
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.paging import Page
from homeport.domain.responses import Item


def page_of_items(items: Sequence[Item], query: InputItemsQuery) -> Page[Item]:
    """Return a page of items that are given the oldest first. Raises InvalidRequest for an unknown order or `after`."""
    validation.check_choice("order", query.order, ("asc", "desc"))
    ordered = items if query.order == "asc" else items[::-1]
    start = 0
    if query.after is not None:
        start = next((at for at, item in enumerate(ordered, 1) if item.id == query.after), 0)
        if not start:
            raise InvalidRequest(
                f"Invalid 'after': the input has no item with the id '{excerpt(query.after)}'.", param="after"
            )
    end = start + query.limit
    return Page(items=tuple(ordered[start:end]), has_more=end < len(ordered))
