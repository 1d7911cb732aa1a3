"""Finds out what one chat template wants by rendering small conversations with it.

Several renderings go to the template in one round trip, because unknown templates run in a separate process. Knows
nothing of tokens, or of the marks that a template writes.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from homeport.domain.tools import Tool
from homeport.engines.text.templates.sandbox import Run
from homeport.engines.text.templates.turns import (
    IdForm,
    PromptTurn,
    TurnCall,
    TurnStyle,
    TurnTexts,
    message_variables,
    tool_variables,
)

SYSTEM, USER, AFTER, CONTENT, RESULT, THOUGHT = (
    "probesystem.",
    "probeuser.",
    "probeafter.",
    "probecontent.",
    "proberesult.",
    "probethought.",
)
KEY, VALUE, ITEM = "probekeya", "probevalue", "probeitem"
ARGUMENTS: Mapping[str, Any] = {
    KEY: VALUE,
    "probekeyb": 31415,
    "probekeyc": {"probeinner": [1, ITEM]},
    "probekeyd": 27182,
}
"""In alphabetical order, because some templates sort them."""
NAMES = ("probefirst", "probesecond")
IDS: Mapping[IdForm, tuple[str, str]] = {
    "any": ("call_probe-id-00001", "call_probe-id-00002"),
    "short": ("probeid01", "probeid02"),
    "numbered": ("functions.probefirst:0", "functions.probesecond:1"),
}
TOOL = Tool("probetool", "probedescription", json.dumps({"type": "object", "properties": {"a": {"type": "string"}}}))
_ROLES = ("tool", "narrator")  # no template knows the second one


class ProbedTemplate(Protocol):
    """A template that can render runs of which some may fail."""

    def try_render(self, runs: Sequence[Run]) -> list[str | None]:
        """Return the output of each run, None for those that the template refuses. Raises TemplateStopped."""
        ...


class Sample(msgspec.Struct, frozen=True):
    """One conversation to render. `variables` are additional ones of the template."""

    turns: tuple[PromptTurn, ...]
    style: TurnStyle
    tools: tuple[Tool, ...] = ()
    variables: Mapping[str, Any] = {}


class TemplateTraits(msgspec.Struct, frozen=True):
    """What a template can do with tools. `has_tool_role`: it writes the name of any role, so also `tool`.

    `default_system`: the system message that it writes if there is none.
    """

    style: TurnStyle
    has_tools: bool
    has_tool_role: bool
    default_system: str = ""


class TemplateProbe:
    """Renders samples with one template. `variables` are passed with each."""

    def __init__(self, program: ProbedTemplate, variables: Mapping[str, Any]) -> None:
        self._program = program
        self._variables = variables

    def render(self, samples: Sequence[Sample]) -> list[str | None]:
        """Return the text of each sample, None for those that the template refuses."""
        return self._program.try_render([self._run(sample) for sample in samples])

    def find_traits(self, *, has_parts: bool) -> TemplateTraits:
        """Determine the template's style and whether it writes tools, calls and results."""
        style = self._find_call_style(has_parts)
        base = style or TurnStyle(has_parts=has_parts)
        user = PromptTurn("user", USER)
        fields = ("reasoning_content", "reasoning", "thinking")
        texts = self.render(
            [
                Sample((user,), base),
                Sample((PromptTurn("system", SYSTEM), user), base),
                Sample((user,), base, (TOOL,)),
                *(Sample((user, PromptTurn("assistant", CONTENT), PromptTurn(role, RESULT)), base) for role in _ROLES),
                Sample((user, call_turn(base, content=CONTENT), result_turn(base)), base, (TOOL,)),
                Sample((user, call_turn(base, count=2), result_turn(base), result_turn(base, 1)), base, (TOOL,)),
                *(
                    Sample((user, *turns), msgspec.structs.replace(base, reasoning_field=field), (TOOL,))
                    for field in fields
                    for turns in _reasoning_turns(base)
                ),
            ]
        )
        plain, system, tools, *roles, both, two = texts[:7]
        thoughts = texts[7:]
        has_tools = style is not None and plain != tools and TOOL.name in (tools or "")
        if f"functions.{NAMES[0]}:0" in (both or ""):  # it numbers calls itself, and their results should agree
            base = msgspec.structs.replace(base, ids="numbered")
        field = next((fields[at // 2] for at, text in enumerate(thoughts) if THOUGHT in (text or "")), "")
        return TemplateTraits(
            msgspec.structs.replace(
                base,
                reasoning_field=field,
                splits_content=style is not None and not _in_order(both, CONTENT, NAMES[0]),
                splits_calls=style is not None and not _has(two, *NAMES),
            ),
            has_tools,
            _writes_any_role(roles),
            _find_default(plain, system),
        )

    def _find_call_style(self, has_parts: bool) -> TurnStyle | None:
        """Return the first style in which the template writes a call and its result; None if there is none."""
        forms: tuple[IdForm, ...] = ("any", "short", "numbered")
        styles = [
            TurnStyle(has_parts=has_parts, ids=ids, has_null_content=is_null, has_text_arguments=is_text)
            for ids, is_text, is_null in itertools.product(forms, (False, True), (False, True))
        ]
        turns = [(PromptTurn("user", USER), call_turn(style), result_turn(style)) for style in styles]
        texts = self.render([Sample(turn, style, (TOOL,)) for turn, style in zip(turns, styles, strict=True)])
        return next((style for style, text in zip(styles, texts, strict=True) if _writes_call(text)), None)

    def _run(self, sample: Sample) -> Run:
        texts = [TurnTexts(turn.content, turn.name, turn.reasoning) for turn in sample.turns]
        variables = {
            "messages": message_variables(sample.turns, texts, sample.style, _same),
            "tools": tool_variables(sample.tools, _same) if sample.tools else None,
            "documents": None,
            "add_generation_prompt": True,
        }
        return Run({**variables, **self._variables, **sample.variables}, 1 << 12)


def call_turn(
    style: TurnStyle,
    *,
    content: str = "",
    reasoning: str = "",
    count: int = 1,
    arguments: Mapping[str, Any] = ARGUMENTS,
) -> PromptTurn:
    """Return an assistant's turn with `count` calls."""
    calls = tuple(TurnCall(IDS[style.ids][at], NAMES[at], dict(arguments)) for at in range(count))
    return PromptTurn("assistant", content, reasoning=reasoning, calls=calls)


def result_turn(style: TurnStyle, at: int = 0) -> PromptTurn:
    """Return the result of a call."""
    return PromptTurn("tool", RESULT, call_id=IDS[style.ids][at], call_name=NAMES[at])


def _reasoning_turns(style: TurnStyle) -> Sequence[Sequence[PromptTurn]]:
    """Return turns with reasoning, with and without a call; templates keep some reasoning only next to calls."""
    return (
        (call_turn(style, reasoning=THOUGHT), result_turn(style)),
        (PromptTurn("assistant", CONTENT, reasoning=THOUGHT),),
    )


def _has(text: str | None, *parts: str) -> bool:
    return text is not None and all(part in text for part in parts)


def _in_order(text: str | None, *parts: str) -> bool:
    places = [text.find(part) for part in parts] if text else [-1]
    return places[0] >= 0 and places == sorted(places)


def _writes_call(text: str | None) -> bool:
    """Return whether a rendering has call, arguments and result, and the arguments as an object."""
    if text is None or not _has(text, NAMES[0], KEY, VALUE, RESULT):
        return False
    return f"{{'{KEY}'" not in text and f'\\"{KEY}' not in text


def _find_default(plain: str | None, with_system: str | None) -> str:
    """Return what the template writes in place of a system message if there is none."""
    if plain is None or with_system is None or SYSTEM not in with_system:
        return ""
    before, _, after = with_system.partition(SYSTEM)
    size = len(plain) - len(before) - len(after)
    is_alike = size >= 0 and plain.startswith(before) and plain.endswith(after)
    return plain[len(before) : len(before) + size] if is_alike else ""


def _writes_any_role(texts: Sequence[str | None]) -> bool:
    tool, other = texts
    role, unknown = _ROLES
    return tool is not None and RESULT in tool and other is not None and tool == other.replace(unknown, role)


def _same(text: str, _: bool) -> str:
    return text
