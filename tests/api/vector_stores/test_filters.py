"""Filters of searches: which attributes meet them, and which are refused."""

from typing import Any

import pytest

from homeport.api.vector_stores.filters import MAX_DEPTH, MAX_FILTERS, to_filter
from homeport.domain.errors import InvalidRequest
from homeport.domain.vector_stores import AttributeValue

ATTRIBUTES: dict[str, AttributeValue] = {"year": 2024, "price": 1.5, "kind": "note", "ok": True}


def is_met(operator: str, key: str, value: Any) -> bool:
    condition = to_filter({"type": operator, "key": key, "value": value}, "filters")
    assert condition is not None
    return condition.matches(ATTRIBUTES)


@pytest.mark.parametrize(
    ("operator", "key", "met", "unmet"),
    [
        ("eq", "year", [2024, 2024.0], [2023, "2024", True]),
        ("eq", "ok", [True], [False, 1, "true"]),
        ("eq", "none", [], ["a", 1]),
        ("ne", "kind", ["mail", 5], ["note"]),
        ("ne", "none", ["a"], []),
        ("gt", "price", [1, 1.4], [1.5, 2, "1"]),
        ("gte", "price", [1.5], [1.6]),
        ("lt", "kind", ["o", "notes"], ["note", "a", 99]),
        ("lte", "year", [2024, 3000], [2023.9]),
        ("gt", "none", [], [0, ""]),
        ("in", "kind", [["mail", "note"]], [["mail"], []]),
        ("nin", "kind", [["mail"], []], [["note"]]),
        ("nin", "none", [["note"]], []),
        ("in", "year", [[2024.0]], [["2024"]]),
    ],
)
def test_comparisons(operator: str, key: str, met: list[Any], unmet: list[Any]) -> None:
    """Values of one type are compared; a missing attribute only meets `ne` and `nin`."""
    assert all(is_met(operator, key, value) for value in met)
    assert not any(is_met(operator, key, value) for value in unmet)


def test_compound_filters() -> None:
    """`and` and `or` combine filters, also inside each other."""
    is_note = {"type": "eq", "key": "kind", "value": "note"}
    is_old = {"type": "lt", "key": "year", "value": 2000}
    for given, expected in (
        ({"type": "and", "filters": [is_note, is_old]}, False),
        ({"type": "or", "filters": [is_note, is_old]}, True),
        ({"type": "and", "filters": [is_note, {"type": "or", "filters": [is_old, is_note]}]}, True),
        ({"type": "and", "filters": []}, True),
        ({"type": "or", "filters": []}, False),
    ):
        condition = to_filter(given, "filters")
        assert condition is not None
        assert condition.matches(ATTRIBUTES) is expected


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(depth - 1):
        inner = {"type": "and", "filters": [inner]}
    return inner


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ("text", "filters"),
        ({"type": "eq", "value": 1}, "filters.key"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        ({"type": "eq", "key": "a", "value": [1]}, "filters.value"),
        ({"type": "in", "key": "a", "value": "x"}, "filters.value"),
        ({"type": "in", "key": "a", "value": [{}]}, "filters.value[0]"),
        ({"type": "eq", "key": "k" * 65, "value": 1}, "filters.key"),
        ({"type": "and"}, "filters.filters"),
        ({"type": "xor", "filters": []}, "filters.type"),
        ({"type": "eq", "key": "a", "value": 1, "extra": "Q" * 5000}, "filters"),
        (nested(MAX_DEPTH + 1), "filters" + ".filters[0]" * MAX_DEPTH),
    ],
)
def test_wrong_filters_are_named(given: Any, param: str) -> None:
    """A filter that is wrong is an error that names its place, and repeats little of it."""
    with pytest.raises(InvalidRequest) as error:
        to_filter(given, "filters")
    assert error.value.param == param
    assert error.value.message.count("Q") <= 200


def test_the_number_of_filters_is_limited() -> None:
    """At most `MAX_FILTERS` filters are accepted, however they are nested."""
    one = {"type": "eq", "key": "a", "value": 1}
    assert to_filter({"type": "and", "filters": [one] * (MAX_FILTERS - 1)}, "filters") is not None
    with pytest.raises(InvalidRequest):
        to_filter({"type": "and", "filters": [one] * MAX_FILTERS}, "filters")
    assert to_filter(nested(MAX_DEPTH), "filters") is not None
    assert to_filter(None, "filters") is None
