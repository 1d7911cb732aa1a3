"""Turns a model's reasoning on and off through its chat template.

Templates read one of a few variables; which one is found by rendering with its values. A model whose template has none
is kept from reasoning by an empty thought at the end of the prompt. Knows nothing of tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from homeport.domain.tools import Reasoning
from homeport.engines.text.answers.answer_format import ReasoningFormat
from homeport.engines.text.templates.probe import USER, Sample, TemplateProbe
from homeport.engines.text.templates.turns import PromptTurn, TurnStyle

NONE = "none"
_EFFORT = "reasoning_effort"
_EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
_COMMON = ("low", "medium", "high")  # what a template accepts that writes any value
_OFF = ("none", "no_think")
_SWITCHES: tuple[tuple[str, Any, Any], ...] = (
    ("enable_thinking", True, False),
    ("thinking", True, False),
    ("thinking_mode", "enabled", "disabled"),
    ("thinking_budget", -1, 0),
)
"""Variables with the values for reasoning and for none, the most common first."""


class ReasoningSwitch(msgspec.Struct, frozen=True):
    """The variables by which a template controls reasoning.

    `variable` empty: it cannot be turned off. `efforts`: values of `reasoning_effort` that make a difference.
    """

    variable: str = ""
    on: Any = None
    off: Any = None
    efforts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The variables as text; empty if there are none."""
        names = [self.variable] if self.variable else []
        if self.efforts and self.variable != _EFFORT:
            names.append(_EFFORT)
        return ", ".join(names)

    def variables(self, reasoning: Reasoning) -> Mapping[str, Any]:
        """Return the variables for an effort; none for the template's default."""
        if reasoning.effort is None:
            return {}
        if reasoning.effort == NONE:
            if self.variable:
                return {self.variable: self.off}
            return {_EFFORT: self.efforts[0]} if self.efforts else {}
        values = {self.variable: self.on} if self.variable and self.variable != _EFFORT else {}
        return values | ({_EFFORT: self._nearest(reasoning.effort)} if self.efforts else {})

    def _nearest(self, effort: str) -> str:
        """Return the accepted effort that is closest, the lower of two."""
        wanted = _EFFORTS.index(effort) if effort in _EFFORTS else _EFFORTS.index("medium")
        return min(self.efforts, key=lambda each: abs(_EFFORTS.index(each) - wanted))


def find_switch(probe: TemplateProbe, style: TurnStyle, source: str) -> ReasoningSwitch:
    """Determine which variables make a difference to a conversation that is to be answered."""
    switches = [switch for switch in _SWITCHES if switch[0] in source]
    efforts = [each for each in _EFFORTS if each in _COMMON or _is_quoted(each, source)] if _EFFORT in source else []
    offs = [each for each in _OFF if _is_quoted(each, source)] if efforts else []
    values: list[Mapping[str, Any]] = [{}]
    values += [{name: value} for name, *pair in switches for value in pair]
    enabled = {name: on for name, on, _ in switches[:1]}
    values += [{**enabled, _EFFORT: each} for each in [*offs, *efforts]]
    user = PromptTurn("user", USER)
    texts = probe.render([Sample((user,), style, variables=each) for each in values])
    pairs = texts[1 : 1 + 2 * len(switches)]
    for at, (name, on, off) in enumerate(switches):
        with_on, with_off = pairs[2 * at], pairs[2 * at + 1]
        if with_on is not None and with_off is not None and with_on != with_off:
            accepted = _accepted(efforts, texts[len(texts) - len(efforts) :])
            return ReasoningSwitch(name, on, off, accepted)
    accepted = _accepted(efforts, texts[len(texts) - len(efforts) :])
    off_texts = texts[len(texts) - len(efforts) - len(offs) : len(texts) - len(efforts)]
    off = next((each for each, text in zip(offs, off_texts, strict=True) if text is not None), None)
    return ReasoningSwitch(_EFFORT if off and accepted else "", None, off, accepted)


def empty_thought(format: ReasoningFormat, prompt: str) -> str:
    """Return what to append to a prompt so that the answer has no reasoning; empty if the prompt provides for it."""
    if is_closed(format, prompt):
        return ""
    end = prompt.rstrip()
    if end.endswith(format.begin.rstrip()):
        return f"\n{format.end}\n\n" if prompt != end else f"\n\n{format.end}\n\n"
    if format.begin.startswith("<|"):  # marks of control tokens: nothing stands between them
        return format.begin + format.end
    return f"{format.begin}\n\n{format.end}\n\n"


def is_open(format: ReasoningFormat, prompt: str) -> bool:
    """Return whether a prompt ends inside reasoning."""
    return prompt.rstrip().endswith(format.begin.rstrip())


def is_closed(format: ReasoningFormat, prompt: str) -> bool:
    """Return whether a prompt ends after reasoning, so that the answer has none."""
    before = prompt.rstrip().removesuffix(format.end.rstrip())
    # Only a closing tag says so by itself: other marks also end other messages.
    return before != prompt.rstrip() and ("/" in format.end or is_open(format, before))


def _accepted(efforts: Sequence[str], texts: Sequence[str | None]) -> tuple[str, ...]:
    """Return the efforts that the template accepts, none if they make no difference."""
    accepted = [(each, text) for each, text in zip(efforts, texts, strict=True) if text is not None]
    return tuple(each for each, _ in accepted) if len({text for _, text in accepted}) > 1 else ()


def _is_quoted(word: str, source: str) -> bool:
    return f"'{word}'" in source or f'"{word}"' in source
