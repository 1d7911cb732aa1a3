"""The query parameters of pages, and the JSON of lists."""

import re
from urllib.parse import urlencode

import msgspec
import pytest
from starlette.requests import Request

from homeport.api.paging import PageQuery, parse_page, render_list, render_page
from homeport.domain.errors import InvalidRequest
from homeport.domain.paging import Page, PageRequest


class Item(msgspec.Struct, frozen=True):
    """An item of a list."""

    id: str


def query(**parameters: str) -> Request:
    """A request with these query parameters."""
    return Request({"type": "http", "query_string": urlencode(parameters).encode()})


def test_parameters_become_a_page_request() -> None:
    """`limit` and `after` are read; without them the first 20 items are requested."""
    found = parse_page(query(limit="3", after="x"), PageQuery, max_limit=5).to_page_request()
    assert found == PageRequest(limit=3, after="x")
    usual = parse_page(query(), PageQuery, max_limit=100).to_page_request(is_newest_first=False)
    assert usual == PageRequest(limit=20, is_newest_first=False)


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "0"), ("limit", "6"), ("limit", "x"), ("order", "asc"), ("filter[a]", "b")]
)
def test_invalid_parameters_are_refused_by_name(name: str, value: str) -> None:
    """A limit out of range and an unknown parameter are errors that name the parameter."""
    with pytest.raises(InvalidRequest) as refused:
        parse_page(query(**{name: value}), PageQuery, max_limit=5)
    assert refused.value.param == name


def test_parameters_can_be_ignored() -> None:
    """Parameters whose names match the pattern are ignored."""
    found = parse_page(query(limit="2", **{"filter[a]": "b"}), PageQuery, max_limit=5, ignore=re.compile(r"filter\[.*"))
    assert found.limit == 2


@pytest.mark.parametrize(
    ("page", "with_ends", "text"),
    [
        (
            Page(items=(Item("a"), Item("b")), has_more=True),
            True,
            b'{"object":"list","data":["a","b"],"first_id":"a","last_id":"b","has_more":true}',
        ),
        (Page[Item](), True, b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'),
        (Page(items=(Item("a"),)), False, b'{"object":"list","data":["a"],"has_more":false}'),
    ],
)
def test_pages_are_rendered_with_or_without_their_ends(page: Page[Item], with_ends: bool, text: bytes) -> None:
    """A page is a `list` with `has_more`, and with the ids of its first and last item where OpenAI's has them."""
    assert bytes(render_page(page, lambda item: item.id, with_ends=with_ends).body) == text


def test_whole_lists_have_only_data() -> None:
    """A list that is returned whole has no fields of pages."""
    assert bytes(render_list(iter((1, 2))).body) == b'{"object":"list","data":[1,2]}'
