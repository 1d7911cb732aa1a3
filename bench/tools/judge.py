"""Whether a model's calls are well-formed and right, and whether one server's are worse than another's.

Well-formed: the arguments are a JSON object that the tool's schema describes, without undeclared names. Right: the
rules of the Berkeley Function-Calling Leaderboard for calls compared by their syntax. Pure.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jsonschema
import msgspec

from bench.tools import cases
from bench.tools.cases import Case, Schema, Values

_IGNORED = re.compile(r"[ ,./\-_*^()]")
_ABSENT = ""


class Call(msgspec.Struct, frozen=True):
    """A call: its tool's name, and its arguments as JSON text."""

    name: str
    arguments: str


class Answer(msgspec.Struct):
    """A server's answer to a case. `failure`: why there is none; `wall_s`: how long it took."""

    id: str
    calls: list[Call] = []
    text: str = ""
    finish: str = ""
    failure: str = ""
    wall_s: float = 0.0
    tokens: int = 0


class Verdict(msgspec.Struct, frozen=True):
    """`flaw`: what is not well-formed, empty if nothing; `is_right`: whether the calls are those that were wanted."""

    id: str
    flaw: str
    is_right: bool


class SignTest(msgspec.Struct, frozen=True):
    """Paired cases of which one side alone is right, and the probability of so few for ours if both were alike."""

    ours_alone: int
    theirs_alone: int

    @property
    def p_worse(self) -> float:
        """One-sided; ours is worse at the 5 % level if it is below 0.05."""
        count = self.ours_alone + self.theirs_alone
        return sum(math.comb(count, wins) for wins in range(self.ours_alone + 1)) / 2.0**count

    @property
    def p_differs(self) -> float:
        """Two-sided."""
        fewer = min(self.ours_alone, self.theirs_alone)
        return min(1.0, 2 * SignTest(fewer, self.ours_alone + self.theirs_alone - fewer).p_worse)


def verdict(case: Case, answer: Answer) -> Verdict:
    """Judge an answer."""
    found = flaw(case, answer)
    return Verdict(case.id, found, not answer.failure and is_right(case, answer.calls))


def flaw(case: Case, answer: Answer) -> str:
    """The first thing that is not well-formed: `no answer`, `arguments`, `name`, `argument name` or `schema`."""
    if answer.failure:
        return "no answer"
    schemas = {cases.name(each.name): cases.schema(each.parameters) for each in case.functions}
    return next(filter(None, (_call_flaw(schemas, call) for call in answer.calls)), "")


def _call_flaw(schemas: Mapping[str, Schema], call: Call) -> str:
    arguments = _arguments(call)
    if arguments is None:
        return "arguments"
    if call.name not in schemas:
        return "name"
    wanted = schemas[call.name]
    if not _is_declared(arguments, wanted):
        return "argument name"
    try:
        jsonschema.validate(arguments, wanted)
    except jsonschema.ValidationError:
        return "schema"
    return ""


def _arguments(call: Call) -> dict[str, Any] | None:
    try:
        found = json.loads(call.arguments)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_declared(value: object, wanted: Schema) -> bool:
    """Whether every object, at any depth, has only names that the schema declares; without `properties`, any."""
    if isinstance(value, dict) and wanted.get("properties"):
        declared = wanted["properties"]
        return all(each in declared and _is_declared(part, declared[each]) for each, part in value.items())
    if isinstance(value, list) and "items" in wanted:
        return all(_is_declared(part, wanted["items"]) for part in value)
    return True


def is_right(case: Case, calls: Sequence[Call]) -> bool:
    """Whether the calls are those of the case's answers, in any order; without answers, whether there are none."""
    if len(calls) != len(case.answers):
        return False
    open_calls = list(calls)
    for wanted in case.answers:
        found = next((call for call in open_calls if _matches(case, call, wanted)), None)
        if found is None:
            return False
        open_calls.remove(found)
    return True


def _matches(case: Case, call: Call, wanted: Mapping[str, Values]) -> bool:
    arguments = _arguments(call)
    (named, accepted), *_ = wanted.items()
    if arguments is None or call.name != cases.name(named):
        return False
    described = next(each.parameters for each in case.functions if each.name == named)
    if not set(described.get("required", ())) <= set(arguments):
        return False
    kinds = {each: part.get("type", "any") for each, part in described.get("properties", {}).items()}
    return _has_accepted(arguments, accepted, kinds)


def _has_accepted(arguments: Mapping[str, Any], accepted: Values, kinds: Mapping[str, str]) -> bool:
    """Whether each argument has an accepted value, and each absent one may be absent."""
    may_be_absent = all(each in arguments or _ABSENT in values for each, values in accepted.items())
    return may_be_absent and all(
        each in accepted and _is_one_of(value, accepted[each], kinds.get(each, "any"))
        for each, value in arguments.items()
    )


def _is_one_of(value: object, accepted: Sequence[Any], kind: str) -> bool:
    if kind == "integer" and isinstance(value, float):
        return False
    return any(_equals(value, each) for each in accepted)


def _equals(value: object, wanted: object) -> bool:
    """Compare as the leaderboard does: strings without case, spaces and punctuation, objects by accepted values."""
    if isinstance(value, str) and isinstance(wanted, str):
        return _plain(value) == _plain(wanted)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(_equals(*pair) for pair in zip(value, wanted, strict=True))
    if isinstance(value, dict) and isinstance(wanted, dict):
        values = {each: found if isinstance(found, list) else [found] for each, found in wanted.items()}
        return _has_accepted(value, values, {})
    return value == wanted


def _plain(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')


def sign_test(ours: Iterable[Verdict], theirs: Iterable[Verdict]) -> SignTest:
    """Compare two sides on the cases that both were asked."""
    others = {each.id: each.is_right for each in theirs}
    pairs = [(each.is_right, others[each.id]) for each in ours if each.id in others]
    return SignTest(pairs.count((True, False)), pairs.count((False, True)))
