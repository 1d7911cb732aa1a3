"""Renders a conversation with a chat template: its text, where the texts are, and the changes to the messages.

Templates differ in what they accept: contents as lists of parts, the `developer` role, system messages, roles that do
not alternate, tools. The first two are determined when the template is compiled, tools when they are first needed, the
others when it refuses a conversation. Templates of tested models run in this process, all others in a separate one.
Knows nothing of tokens.
"""

import contextlib
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import msgspec

from homeport.domain.content import Message, Part, ReasoningPart, TextPart, text_message
from homeport.domain.text import ChatPrompt
from homeport.domain.tools import Reasoning
from homeport.engines.text.prompt_length_limits import Check
from homeport.engines.text.templates import generic_tools
from homeport.engines.text.templates.message_variants import MessageVariant, list_variants, replace_developer_role
from homeport.engines.text.templates.placeholders import Placeholders, TextChange
from homeport.engines.text.templates.process import IsolatedProgram
from homeport.engines.text.templates.sandbox import ChatTemplateError, Run, SandboxedTemplate, TemplateStopped
from homeport.engines.text.templates.support import TemplateSupport, find_support
from homeport.engines.text.templates.turns import (
    Change,
    PromptTurn,
    TurnStyle,
    TurnTexts,
    apply_style,
    list_turns,
    message_variables,
    tool_variables,
)

KNOWN = frozenset(
    {
        "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f",  # qwen2.5-coder-0.5b
        "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",  # smollm2-135m
        "4f05b98fc0a9dde9a39d4b6e17f3bf427b1eea5b95776755fd5d05cda72a3b35",  # the fake executor of the tests
    }
)
"""SHA-256 of templates whose time and memory are known to grow no faster than the conversation."""
_PROBE = "Some words."
_DEVELOPER = "developer"
_OTHER_ROLE = "narrator"  # no template knows it


class TemplateProgram(Protocol):
    """A compiled chat template, in this process or another."""

    def render(self, runs: Sequence[Run], check: Check | None = None) -> list[str]:
        """Return the output of each run. Raises ChatTemplateError, and what `check` raises."""
        ...

    def try_render(self, runs: Sequence[Run]) -> list[str | None]:
        """Return the output of each run, None for those that the template refuses. Raises TemplateStopped."""
        ...

    def close(self) -> None:
        """Free its resources."""
        ...


def is_known(source: str) -> bool:
    """Return whether a template may run in this process."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest() in KNOWN


def unchanged(text: str, _: bool = False) -> str:
    """Return the text as it is."""
    return text


class Extras(NamedTuple):
    """What a conversation has besides turns.

    `tools` and `variables` are passed to the template. `change` is applied to the strings of tools and calls; `length`:
    of these strings in characters. `custom`: names of custom tools.
    """

    tools: Sequence[Mapping[str, Any]] = ()
    variables: Mapping[str, Any] = {}
    change: Change = unchanged
    length: int = 0
    custom: Sequence[str] = ()


class RenderedConversation(NamedTuple):
    """A rendering with placeholders and one with the texts (`text`), of the possibly changed messages."""

    turns: Sequence[PromptTurn]
    extras: Extras
    placeholders: Placeholders
    with_placeholders: str
    text: str
    changes: tuple[str, ...]


class TemplateRenderer:
    """One model's template. `variables` are passed to it along with the messages. Raises ChatTemplateError."""

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        self._source = source
        self._variables = variables
        self._program: TemplateProgram = SandboxedTemplate(source) if is_known(source) else IsolatedProgram(source)
        self._has_parts = False
        probe = [text_message("user", _PROBE)]
        if not self._accepts(probe):
            self._has_parts = True
            self._has_parts = self._accepts(probe)
        self.knows_developer = _DEVELOPER in source and self._handles_developer()

    @functools.cached_property
    def support(self) -> TemplateSupport:
        """What the template supports: determined at the first use."""
        return find_support(self._program, self._variables, self._source, has_parts=self._has_parts)

    def render_prompt(
        self, prompt: ChatPrompt, change: Change = unchanged, check: Check | None = None
    ) -> RenderedConversation:
        """Render the first variant that the template writes completely. Raises the first ChatTemplateError if none.

        `change` is applied to the strings of tools and calls. Raises InvalidRequest for arguments that are no JSON
        object.
        """
        messages, extras = self._prepare(prompt, change)
        variants = list_variants(replace_developer_role(messages))
        if self.knows_developer and any(message.role == _DEVELOPER for message in messages):
            variants = chain(list_variants(messages), variants)
        refusal: ChatTemplateError | None = None
        for variant in _and_without_reasoning(variants):
            try:
                return self._render_variant(variant, extras, check)
            except TemplateStopped:
                raise
            except ChatTemplateError as error:
                refusal = refusal or error
        raise refusal or ChatTemplateError("There is no message.")

    def render_changed(self, rendered: RenderedConversation, change: TextChange, check: Check | None = None) -> str:
        """Render the same turns again, with `change` applied to their texts. Raises ChatTemplateError."""
        texts = rendered.placeholders.texts(change)
        return self._program.render([self._run(rendered.turns, texts, rendered.extras)], check)[0]

    def close(self) -> None:
        """Free its resources."""
        self._program.close()

    def _prepare(self, prompt: ChatPrompt, change: Change) -> tuple[Sequence[Message], Extras]:
        """Return the messages to render, which are only text if the template has no place for tools, and the rest."""
        tools = prompt.tools.tools if prompt.tools else ()
        custom = [tool.name for tool in tools if tool.is_custom]
        turns = list_turns(prompt.messages, custom)
        variables = {} if prompt.reasoning == Reasoning() else self.support.switch.variables(prompt.reasoning)
        uses_tools = bool(tools) or any(turn.calls or turn.call_id for turn in turns)
        if uses_tools and self.support.is_generic:
            written = generic_tools.write_tools(
                turns,
                tools,
                has_tool_role=self.support.has_tool_role,
                default_system=self.support.default_system,
            )
            return [_message(turn) for turn in written], Extras(variables=variables, change=change)
        length = sum(len(tool.description) + len(tool.parameters or "") for tool in tools)
        length += sum(len(str(call.arguments)) for turn in turns for call in turn.calls)
        return prompt.messages, Extras(tool_variables(tools, change), variables, change, length, custom)

    def _render_variant(self, variant: MessageVariant, extras: Extras, check: Check | None) -> RenderedConversation:
        turns = list_turns(variant.messages, extras.custom)
        needs_style = any(turn.calls or turn.call_id or turn.reasoning for turn in turns)
        turns = apply_style(turns, self.support.style if needs_style else TurnStyle())
        rendered, unused = self._render_both(turns, extras, variant.changes, check)
        if unused:
            turns = [_include_name(turn) if at in unused else turn for at, turn in enumerate(turns)]
            rendered, _ = self._render_both(turns, extras, variant.changes, check)
        written = rendered.placeholders.find(rendered.with_placeholders)
        for turn, content in zip(rendered.turns, rendered.placeholders.contents, strict=True):
            if content.text and content.mark not in written and not turn.calls:
                raise ChatTemplateError(f"The model's chat template has no place for a message of role '{turn.role}'.")
        return rendered

    def _render_both(
        self, turns: Sequence[PromptTurn], extras: Extras, changes: tuple[str, ...], check: Check | None
    ) -> tuple[RenderedConversation, set[int]]:
        """Render with placeholders and with texts; also return the turns whose names were not written."""
        placeholders = Placeholders(turns)
        runs = [self._run(turns, texts, extras) for texts in (placeholders.marks, placeholders.texts())]
        with_placeholders, text = self._program.render(runs, check)
        written = placeholders.find(with_placeholders)
        unused = {at for at, name in enumerate(placeholders.names) if name.text and name.mark not in written}
        return RenderedConversation(turns, extras, placeholders, with_placeholders, text, changes), unused

    def _run(self, turns: Sequence[PromptTurn], texts: Sequence[TurnTexts], extras: Extras) -> Run:
        needs_style = any(turn.calls or turn.reasoning for turn in turns)
        style = self.support.style if needs_style else TurnStyle(has_parts=self._has_parts)
        # `transformers` passes these as None, and templates test for `none`.
        variables = {
            "messages": message_variables(turns, texts, style, extras.change),
            "tools": list(extras.tools) or None,
            "documents": None,
            "add_generation_prompt": True,
        }
        characters = 2 * sum(len(part) for text in texts for part in text) + 4 * extras.length
        return Run({**variables, **self._variables, **extras.variables}, characters)

    def _plain(self, messages: Sequence[Message]) -> str:
        turns = [PromptTurn(message.role, message.text) for message in messages]
        texts = [TurnTexts(turn.content, "", "") for turn in turns]
        return self._program.render([self._run(turns, texts, Extras())])[0]

    def _accepts(self, messages: Sequence[Message]) -> bool:
        """Return whether the template accepts the messages and writes their contents."""
        with contextlib.suppress(ChatTemplateError):
            return _PROBE in self._plain(messages)
        return False

    def _handles_developer(self) -> bool:
        """Return whether the template handles this role specially, rather than writing the name of any role."""
        outputs = []
        for role in (_DEVELOPER, _OTHER_ROLE):
            with contextlib.suppress(ChatTemplateError):
                outputs.append(
                    self._plain([text_message(role, _PROBE), text_message("user", "x")]).replace(role, "role")
                )
        is_accepted = self._accepts([text_message(_DEVELOPER, _PROBE), text_message("user", "x")])
        return is_accepted and len(set(outputs)) == len(outputs)


def _and_without_reasoning(variants: Iterator[MessageVariant]) -> Iterator[MessageVariant]:
    """Yield each variant, and if it has earlier reasoning, also without: some templates refuse it next to content."""
    for variant in variants:
        yield variant
        if any(isinstance(part, ReasoningPart) for message in variant.messages for part in message.parts):
            messages = [
                msgspec.structs.replace(
                    message, parts=tuple(part for part in message.parts if not isinstance(part, ReasoningPart))
                )
                for message in variant.messages
            ]
            yield variant._replace(messages=messages)


def _include_name(turn: PromptTurn) -> PromptTurn:
    """Return the turn with its name as part of the content."""
    return msgspec.structs.replace(turn, content=f"{turn.name}: {turn.content}", name="")


def _message(turn: PromptTurn) -> Message:
    """Return a turn without calls as a message."""
    parts: tuple[Part, ...] = (TextPart(turn.content),)
    if turn.reasoning:
        parts = (ReasoningPart(turn.reasoning), *parts)
    return Message(turn.role, parts, turn.name or None)
