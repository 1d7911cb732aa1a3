"""Derives from a chat template how its model writes answers, by comparing renderings of small conversations.

Words that occur nowhere else stand for the variable parts (names, keys, values, contents), so the text between them is
the template's own: the marks. What cannot be derived is mended by `model_families`. Knows nothing of tokens.
"""

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from homeport.engines.text.answers.answer_format import (
    CALL_ID,
    CALL_INDEX,
    ArgumentsFormat,
    CallFormat,
    JsonArguments,
    PythonArguments,
    ReasoningFormat,
    TaggedArguments,
)
from homeport.engines.text.templates.probe import (
    AFTER,
    ARGUMENTS,
    CONTENT,
    IDS,
    ITEM,
    KEY,
    NAMES,
    RESULT,
    THOUGHT,
    TOOL,
    USER,
    VALUE,
    Sample,
    TemplateProbe,
    call_turn,
    result_turn,
)
from homeport.engines.text.templates.turns import PromptTurn, TurnStyle

_OPENING = "<[{("
_NUMBER, _OBJECT, _LAST = list(ARGUMENTS)[1:]
_MAX_TAG = 40
_FIRST_TAG = re.compile(r"<[^<>]+>")
_LAST_TAG = re.compile(r"<[|｜][^<>]*>$|</s>$")
_THOUGHT_MARKS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|channel>thought", "<channel|>"),
    ("<seed:think>", "</seed:think>"),
)


class _Call(NamedTuple):
    """One call cut out of a rendering: the text before its name, between name and arguments, and after them."""

    before: str
    between: str
    after: str
    arguments: ArgumentsFormat


class _Renderings(NamedTuple):
    """A turn with content, with one call, with one call without arguments, and with two calls (None: refused)."""

    plain: str
    one: str
    empty: str
    two: str | None


def derive_calls(probe: TemplateProbe, style: TurnStyle) -> CallFormat | None:
    """Return how calls are written; None if it cannot be derived."""
    found = _render_calls(probe, style)
    if found is None:
        return None
    plain, one, empty, two = found
    head, _, rest = plain.partition(CONTENT)
    at = one.index(NAMES[0])
    start = _common_start(head, one[:at])
    first = _cut_call(one[start:], empty[start:], NAMES[0])
    if first is None:
        return None
    tail = first.after[: _turn_end(first.after, rest)]
    calls = _join(first, None if two is None else _cut_second(two[start:], first), tail)
    return calls if _is_plausible(calls) else None


def derive_reasoning(probe: TemplateProbe, style: TurnStyle, source: str) -> ReasoningFormat | None:
    """Return the marks of reasoning, as the template writes it or looks for it; None if it does neither."""
    user = PromptTurn("user", USER)
    thought = PromptTurn("assistant", CONTENT, reasoning=THOUGHT)
    samples = [Sample((user, thought), style), Sample((user, PromptTurn("assistant", CONTENT)), style)]
    if style.ids:
        turns = (user, call_turn(style, reasoning=THOUGHT, content=CONTENT), result_turn(style))
        plain = (user, call_turn(style, content=CONTENT), result_turn(style))
        samples += [Sample(turns, style, (TOOL,)), Sample(plain, style, (TOOL,))]
    texts = probe.render(samples)
    for text, other in ((texts[0], texts[1]), (texts[2], texts[3])):
        if text is None or other is None or THOUGHT not in text:
            continue
        before, _, after = text.partition(THOUGHT)
        known = (marks for marks in _THOUGHT_MARKS if before.rstrip().endswith(marks[0]) and marks[1] in after)
        begin, end = next(known, (before[_common_start(other, before) :].strip(), after.partition(CONTENT)[0].strip()))
        if begin[:1] in _OPENING and end[:1] in _OPENING and begin and end and "probe" not in end:
            return ReasoningFormat(begin, end)
    return next((ReasoningFormat(*marks) for marks in _THOUGHT_MARKS if marks[1] in source), None)


def _render_calls(probe: TemplateProbe, style: TurnStyle) -> _Renderings | None:
    """Render calls followed by a user's message; if that is refused, by their results and a final answer."""
    user, after, final = (
        PromptTurn("user", USER),
        PromptTurn("user", AFTER),
        PromptTurn("assistant", "probefinal."),
    )
    one, empty, two = call_turn(style), call_turn(style, arguments={}), call_turn(style, count=2)
    turns: list[Sequence[PromptTurn]] = [(PromptTurn("assistant", CONTENT), after)]
    turns += [(turn, after) for turn in (one, empty, two)]
    turns += [(one, result_turn(style), final, after), (empty, result_turn(style), final, after)]
    turns += [(two, result_turn(style), result_turn(style, 1), final, after)]
    texts = probe.render([Sample((user, *each), style, (TOOL,)) for each in turns])
    plain, *others = [None if text is None else _hide_ids(text, style) for text in texts]
    for group in (others[:3], others[3:]):
        first, bare, second = group
        if plain and CONTENT in plain and first and bare and NAMES[0] in first and NAMES[0] in bare:
            is_complete = second is not None and all(name in second for name in NAMES) and not style.splits_calls
            return _Renderings(plain, first, bare, second if is_complete else None)
    return None


def _hide_ids(text: str, style: TurnStyle) -> str:
    if style.ids == "numbered":
        return text
    for id in IDS[style.ids]:
        text = text.replace(id, CALL_ID)
    return text


def _cut_call(text: str, empty: str, name: str) -> _Call | None:
    """Cut the first call out of a text that begins with an answer. `empty`: the same without arguments."""
    before, _, rest = text.partition(name)
    found = _find_json(rest)
    if found is not None:
        return _Call(before, rest[: found[0]], rest[found[1] :], JsonArguments())
    return _cut_tagged(before, rest, empty.partition(name)[2])


def _cut_second(text: str, first: _Call) -> _Call | None:
    """Cut the second call out; its `before` is the text after the first call's arguments."""
    rest = text.partition(NAMES[0])[2]
    if isinstance(first.arguments, JsonArguments):
        found = _find_json(rest)
        if found is None:
            return None
        before, name, rest = rest[found[1] :].partition(NAMES[1])
        found = _find_json(rest)
        return _Call(before, rest[: found[0]], rest[found[1] :], JsonArguments()) if name and found else None
    last = str(ARGUMENTS[_LAST])
    before, name, rest = rest.partition(last)[2].partition(NAMES[1])
    ending = first.arguments.end if isinstance(first.arguments, TaggedArguments) else ""
    before = before.removeprefix(ending)
    return _Call(before, first.between, rest, first.arguments) if name else None


def _find_json(text: str) -> tuple[int, int] | None:
    """Return where the arguments are written as a JSON object."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            value, end = None, at
        if value == ARGUMENTS:
            return at, end
        at = text.find("{", at + 1)
    return None


def _cut_tagged(before: str, rest: str, empty: str) -> _Call | None:
    """Cut a call whose arguments are written one by one. Returns None if they are not."""
    pieces: list[str] = []
    for word in (KEY, VALUE, _NUMBER, str(ARGUMENTS[_NUMBER]), _OBJECT, ITEM, _LAST, str(ARGUMENTS[_LAST])):
        piece, found, rest = rest.partition(word)
        if not found:
            return None
        pieces.append(piece)
    to_key, to_string, _, to_number, past_number, _, _, _ = pieces
    if to_key == "(" and to_number == "=":
        return _Call(before, "(", rest, PythonArguments())
    if not to_string.startswith(to_number):
        return None  # the type of a value is part of its mark
    mark = to_string[len(to_number) :]
    for at in _boundaries(to_key):
        begin, callend = to_key[at:], _after_arguments(empty, to_key[:at], rest)
        if callend is None or not past_number.endswith(begin):
            continue
        joint = past_number[: len(past_number) - len(begin)]
        size = rest.index(callend)
        end = joint[: _shared_start(joint, rest[:size])]
        if end == rest[:size]:
            separator = joint[len(end) :]
            arguments = TaggedArguments(begin, to_number, end, separator, mark)
            return _Call(before, to_key[:at], rest[size:], arguments)
    return None


def _after_arguments(empty: str, name_end: str, rest: str) -> str | None:
    """Return the text after the arguments of the call without any, if the call with arguments has it too."""
    if not empty.startswith(name_end):
        return None
    after = empty[len(name_end) :]
    return after if after and rest.endswith(after) else None


def _boundaries(text: str) -> Sequence[int]:
    """Return where a text may be divided into the end of a name and the beginning of a key, the likeliest first."""
    likely = [at for at, sign in enumerate(text) if sign in _OPENING and (not at or text[at - 1] not in f"{_OPENING}/")]
    return [*reversed(likely), *(at for at in range(len(text), -1, -1) if at not in likely)]


def _join(first: _Call, second: _Call | None, tail: str) -> CallFormat:
    """Return the format of two calls of one turn; `tail`: the text after the last call's arguments."""
    begin, between, end, separator, section_begin, section_end = first.before, first.between, tail, "", "", ""
    if second is not None:
        before, after = _number(first.before, second.before)
        begin = before[len(before) - _common_suffix(before, after) :]
        section_begin = before[: len(before) - len(begin)]
        joint = after[: len(after) - len(begin)]
        end = joint[: _common_prefix(joint, tail)]
        separator, section_end = joint[len(end) :], tail[len(end) :]
        between, _ = _number(first.between, second.between)
    whole = (section_begin + begin).lstrip()
    return CallFormat(
        begin=begin if section_begin else begin.lstrip(),
        name_end=between,
        end=end,
        arguments=first.arguments,
        section_begin=section_begin.lstrip(),
        section_end=section_end,
        separator=separator,
        is_whole_answer=whole[:1] in ("{", "") or (whole[:1] == "[" and not whole[1:2].isalpha()),
    )


def _is_plausible(calls: CallFormat) -> bool:
    """Return whether no mark contains a variable part, which happens if a template writes something unforeseen."""
    marks = [calls.begin, calls.name_end, calls.end, calls.section_begin, calls.section_end, calls.separator]
    if isinstance(calls.arguments, TaggedArguments):
        marks += [value for value in msgspec.structs.astuple(calls.arguments) if isinstance(value, str)]
    return not any("probe" in mark for mark in marks) and bool(calls.name_end or calls.arguments != JsonArguments())


def _number(first: str, second: str) -> tuple[str, str]:
    """Replace the calls' numbers by `CALL_INDEX` if the first text has a 0 exactly where the second has a 1."""
    marked = first.replace("0", CALL_INDEX, 1), second.replace("1", CALL_INDEX, 1)
    return marked if CALL_INDEX in marked[0] and _shared(*marked) > _shared(first, second) else (first, second)


def _turn_end(text: str, rest: str) -> int:
    """Return where a turn ends in the text after its last call. `rest`: the text after a turn with content."""
    before_result = text.partition(RESULT)[0]
    tag = _FIRST_TAG.match(rest)
    ends = before_result.partition(AFTER)[0]
    if tag and tag.group() in ends:
        return ends.index(tag.group())
    if before_result != text:
        sizes = range(len(rest), 1, -1)
        return next((at for size in sizes if (at := before_result.find(rest[:size])) >= 0), len(before_result))
    size = len(text) - _shared(text, rest)  # a turn with calls ends with another token
    size = text.find(">", size) + 1 if _in_tag(text, size) else size
    return len(_LAST_TAG.sub("", text[:size]))


def _in_tag(text: str, at: int) -> bool:
    """Return whether a position is inside a tag."""
    begin = text.rfind("<", max(0, at - _MAX_TAG), at)
    return begin >= 0 and ">" not in text[begin:at]


def _common_start(head: str, text: str) -> int:
    """Return how many characters two texts have in common at the beginning, without a part of a tag."""
    size = _shared_start(head, text)
    if size < len(head):
        size = text.rfind("<", 0, size) if _in_tag(text, size) else size
        while size and text[size - 1] in _OPENING:
            size -= 1
    return size


def _common_prefix(joint: str, tail: str) -> int:
    size = _shared_start(joint, tail)
    return joint.rfind("<", 0, size) if size < len(joint) and _in_tag(joint, size) else size


def _common_suffix(one: str, other: str) -> int:
    """Return how many characters two texts have in common at the end, without a part of a tag."""
    size = _shared(one, other)
    if size < len(one) and _in_tag(one, len(one) - size):
        at = one.find("<", len(one) - size)
        size = len(one) - at if at >= 0 else 0
    return size


def _shared(one: str, other: str) -> int:
    return _shared_start(one[::-1], other[::-1])


def _shared_start(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (left, right) in enumerate(pairs) if left != right), min(len(one), len(other)))
