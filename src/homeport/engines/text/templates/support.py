"""What one chat template supports: tools, the format of answers, and the switch for reasoning.

Found by rendering small conversations. Knows nothing of tokens.
"""

from collections.abc import Mapping

import msgspec

from homeport.engines.text.answers.answer_format import GENERIC_CALLS, AnswerFormat, ReasoningFormat
from homeport.engines.text.templates.format_derivation import derive_calls, derive_reasoning
from homeport.engines.text.templates.model_families import GENERIC, VERIFIED, complete_format
from homeport.engines.text.templates.probe import ProbedTemplate, TemplateProbe
from homeport.engines.text.templates.reasoning_switch import ReasoningSwitch, find_switch
from homeport.engines.text.templates.sandbox import ChatTemplateError
from homeport.engines.text.templates.turns import TurnStyle


class TemplateSupport(msgspec.Struct, frozen=True):
    """How conversations are written for a template, and how its model answers.

    `is_generic`: the template has no place for tools, so they are described as `generic_tools` does. `has_tool_role`:
    whether that may use messages of the role `tool`. `default_system`: the template's own system message.
    """

    style: TurnStyle
    format: AnswerFormat
    switch: ReasoningSwitch = ReasoningSwitch()
    is_generic: bool = True
    has_tool_role: bool = False
    default_system: str = ""

    @property
    def is_verified(self) -> bool:
        """Whether the format of this family was tested on a real template."""
        return self.format.family in VERIFIED


def derive_format(probe: TemplateProbe, source: str, *, has_parts: bool = False) -> AnswerFormat | None:
    """Derive the answer format of a template; None if it has no place for tools. `source`: the template."""
    support = _find(probe, source, has_parts)
    return None if support.is_generic else support.format


def find_support(
    program: ProbedTemplate, variables: Mapping[str, str], source: str, *, has_parts: bool = False
) -> TemplateSupport:
    """Find out what a template supports. A template that exceeds its limits supports nothing."""
    try:
        return _find(TemplateProbe(program, variables), source, has_parts)
    except ChatTemplateError:
        return TemplateSupport(TurnStyle(has_parts=has_parts), _generic(None))


def _find(probe: TemplateProbe, source: str, has_parts: bool) -> TemplateSupport:
    traits = probe.find_traits(has_parts=has_parts)
    reasoning = derive_reasoning(probe, traits.style, source)
    switch = find_switch(probe, traits.style, source)
    calls = derive_calls(probe, traits.style) if traits.has_tools else None
    format = complete_format(calls, reasoning, source) if traits.has_tools else None
    return TemplateSupport(
        traits.style,
        format or _generic(reasoning),
        switch,
        format is None,
        traits.has_tool_role,
        traits.default_system,
    )


def _generic(reasoning: ReasoningFormat | None) -> AnswerFormat:
    return AnswerFormat(GENERIC, reasoning, calls=GENERIC_CALLS)
