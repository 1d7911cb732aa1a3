"""The judge: what is well-formed, what is right, and the sign test."""

import json
from typing import Any

import pytest

from bench.tools import judge
from bench.tools.cases import Case, Function
from bench.tools.judge import Answer, Call, SignTest, Verdict

_TRIP = Function(
    "travel.book",
    "Book a trip.",
    {
        "type": "dict",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "price": {"type": "float"},
            "stops": {"type": "array", "items": {"type": "string"}},
            "hotel": {"type": "dict", "properties": {"name": {"type": "string"}, "stars": {"type": "integer"}}},
            "late": {"type": "boolean"},
        },
        "required": ["city", "days"],
    },
)
_OTHER = Function("other", "Other.", {"type": "dict", "properties": {"x": {"type": "any"}}, "required": ["x"]})


def _case(*answers: dict[str, Any]) -> Case:
    return Case("simple_1", [{"role": "user", "content": "Go"}], [_TRIP, _OTHER], list(answers))


def _trip(**arguments: Any) -> Call:
    return Call("travel_book", json.dumps(arguments))


@pytest.mark.parametrize(
    ("call", "flaw"),
    [
        (_trip(city="Rome", days=3), ""),
        (_trip(city="Rome", days=3, hotel={"name": "Inn"}, stops=["a"]), ""),
        (Call("travel_book", '{"city": "Rome", "days"'), "arguments"),
        (Call("travel_book", '["Rome"]'), "arguments"),
        (Call("travel.book", '{"city": "Rome", "days": 3}'), "name"),
        (_trip(city="Rome", days=3, country="Italy"), "argument name"),
        (_trip(city="Rome", days=3, hotel={"name": "Inn", "rooms": 1}), "argument name"),
        (_trip(city="Rome", days="3"), "schema"),
        (_trip(city="Rome", days=3, price=True), "schema"),
        (_trip(city="Rome"), "schema"),
    ],
)
def test_the_first_flaw_of_a_call(call: Call, flaw: str) -> None:
    """Arguments are a JSON object, names are declared, and the schema describes the values."""
    assert judge.flaw(_case(), Answer("simple_1", [call])) == flaw


def test_every_call_is_examined() -> None:
    """A flaw of the second call counts, no calls have none, and a failed request has one."""
    good = _trip(city="Rome", days=3)
    assert judge.flaw(_case(), Answer("simple_1", [good, Call("none", "{}")])) == "name"
    assert judge.flaw(_case(), Answer("simple_1")) == ""
    assert judge.flaw(_case(), Answer("simple_1", failure="500")) == "no answer"


_WANTED = {
    "travel.book": {
        "city": ["New York, NY", "NYC"],
        "days": [3],
        "price": ["", 2.0],
        "stops": [["Bar", "Foo"], ""],
        "hotel": [{"name": ["Inn"], "stars": [4, ""]}, ""],
        "late": [False, ""],
    }
}


@pytest.mark.parametrize(
    ("arguments", "is_right"),
    [
        ({"city": "NYC", "days": 3}, True),
        ({"city": "new york ny", "days": 3}, True),
        ({"city": "new-york/NY.", "days": 3}, True),
        ({"city": "New York", "days": 3}, False),
        ({"city": "NYC"}, False),
        ({"city": "NYC", "days": 4}, False),
        ({"city": "NYC", "days": 3.0}, False),
        ({"city": "NYC", "days": "3"}, False),
        ({"city": "NYC", "days": 3, "price": 2}, True),
        ({"city": "NYC", "days": 3, "price": 2.5}, False),
        ({"city": "NYC", "days": 3, "stops": ["bar", "FOO"]}, True),
        ({"city": "NYC", "days": 3, "stops": ["Foo", "Bar"]}, False),
        ({"city": "NYC", "days": 3, "hotel": {"name": "inn"}}, True),
        ({"city": "NYC", "days": 3, "hotel": {"name": "Inn", "stars": 5}}, False),
        ({"city": "NYC", "days": 3, "hotel": {"stars": 4}}, False),
        ({"city": "NYC", "days": 3, "late": False}, True),
        ({"city": "NYC", "days": 3, "late": 0}, False),
        ({"city": "NYC", "days": 3, "note": "x"}, False),
    ],
)
def test_a_call_is_right_if_every_value_is_accepted(arguments: dict[str, Any], is_right: bool) -> None:
    """Any listed value is accepted, an empty string allows absence, and strings are compared without punctuation."""
    assert judge.is_right(_case(_WANTED), [_trip(**arguments)]) is is_right


def test_calls_may_be_in_any_order_but_none_may_be_missing_or_more() -> None:
    """Each answer has a call of its own, whatever their order."""
    case = _case({"other": {"x": [1]}}, {"other": {"x": [2]}}, {"travel.book": {"city": ["A"], "days": [1]}})
    one, two = Call("other", '{"x": 1}'), Call("other", '{"x": 2}')
    trip = _trip(city="A", days=1)
    assert judge.is_right(case, [trip, two, one])
    assert not judge.is_right(case, [trip, two])
    assert not judge.is_right(case, [trip, two, two])
    assert not judge.is_right(case, [trip, two, one, one])


def test_no_call_is_right_where_none_fits() -> None:
    """Without answers an answer in text is right, a call is wrong, and a failed request is wrong."""
    assert judge.verdict(_case(), Answer("simple_1", text="No.")) == Verdict("simple_1", "", True)
    assert not judge.verdict(_case(), Answer("simple_1", [Call("other", '{"x": 1}')])).is_right
    assert not judge.verdict(_case(), Answer("simple_1", failure="500")).is_right


def _verdicts(rights: str) -> list[Verdict]:
    return [Verdict(str(index), "", mark == "+") for index, mark in enumerate(rights)]


def test_the_sign_test_counts_cases_that_one_side_alone_has_right() -> None:
    """Cases that both or neither have right do not count."""
    assert judge.sign_test(_verdicts("++--+"), _verdicts("+---+")) == SignTest(1, 0)
    assert judge.sign_test(_verdicts("+---"), _verdicts("-++-")) == SignTest(1, 2)


@pytest.mark.parametrize(
    ("ours", "theirs", "worse", "differs"),
    [(0, 0, 1.0, 1.0), (0, 5, 1 / 32, 1 / 16), (1, 4, 6 / 32, 12 / 32), (5, 0, 1.0, 1 / 16), (3, 3, 42 / 64, 1.0)],
)
def test_probabilities_of_the_sign_test(ours: int, theirs: int, worse: float, differs: float) -> None:
    """The binomial probabilities of at most so many cases for ours, and of so large a difference."""
    test = SignTest(ours, theirs)
    assert test.p_worse == pytest.approx(worse)
    assert test.p_differs == pytest.approx(differs)
