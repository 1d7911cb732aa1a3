"""Renders a conversation with a chat template: the text, the places of the contents, and changes to the messages.

Templates differ in what they accept: contents as lists of parts, the `developer` role, system messages, roles that do
not alternate. The first two are determined when the template is compiled, the others when it refuses a conversation.
Knows nothing of tokens.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from homeport.domain.content import Message, text_message
from homeport.engines.text import template_programs
from homeport.engines.text.message_variants import (
    MessageVariant,
    as_system,
    list_variants,
    named,
)
from homeport.engines.text.placeholders import Placeholders
from homeport.engines.text.sandbox import ChatTemplateError, Run, TemplateStopped

Check = Callable[[], None]
_PROBE = "Some words."
_DEVELOPER = "developer"
_OTHER_ROLE = "narrator"  # no template knows it


class RenderedConversation(NamedTuple):
    """A rendering with placeholders (`framed`) and one with the contents (`text`), of what the messages became."""

    messages: Sequence[Message]
    slots: Placeholders
    framed: str
    text: str
    changes: tuple[str, ...]


class TemplateRenderer:
    """One model's template. `variables`: what it is given besides the messages. Raises ChatTemplateError."""

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._program = template_programs.compile_template(source)
        self._has_parts = False
        said = [text_message("user", _PROBE)]
        if not self._holds(said):
            self._has_parts = True
            self._has_parts = self._holds(said)
        self.knows_developer = _DEVELOPER in source and self._tells_developer()

    def place(self, messages: Sequence[Message], check: Check | None = None) -> RenderedConversation:
        """Render so that the template has a place for everything. Raises ChatTemplateError, the first reason of all."""
        found = list_variants(as_system(messages))
        if self.knows_developer and any(message.role == _DEVELOPER for message in messages):
            found = chain(list_variants(messages), found)
        refusal: ChatTemplateError | None = None
        for variant in found:
            try:
                return self._placed(variant, check)
            except TemplateStopped:
                raise
            except ChatTemplateError as error:
                refusal = refusal or error
        raise refusal or ChatTemplateError("There is no message.")

    def render(self, placement: RenderedConversation, change: Callable[[str], str], check: Check | None = None) -> str:
        """Render the same once more, contents and names changed so. Raises ChatTemplateError."""
        return self._program.render([self._run(placement.messages, *placement.slots.mapped(change))], check)[0]

    def close(self) -> None:
        """Free what it holds."""
        self._program.close()

    def _placed(self, variant: MessageVariant, check: Check | None) -> RenderedConversation:
        placement, unused = self._tried(variant, check)
        if unused:
            messages = [named(message) if at in unused else message for at, message in enumerate(variant.messages)]
            placement, _ = self._tried(variant._replace(messages=messages), check)
        placed = placement.slots.placed(placement.framed)
        for message, slot in zip(placement.messages, placement.slots.contents, strict=True):
            if slot.text and slot.mark not in placed:
                raise ChatTemplateError(
                    f"The model's chat template has no place for a message of role '{message.role}'."
                )
        return placement

    def _tried(self, variant: MessageVariant, check: Check | None) -> tuple[RenderedConversation, set[int]]:
        """Render both ways; give that, and the messages whose names the template did not write."""
        messages, changes = variant
        slots = Placeholders(messages)
        runs = [self._run(messages, *slots.marks), self._run(messages, *slots.mapped(str))]
        framed, text = self._program.render(runs, check)
        placed = slots.placed(framed)
        unused = {at for at, slot in enumerate(slots.names) if slot.text and slot.mark not in placed}
        return RenderedConversation(messages, slots, framed, text, changes), unused

    def _run(self, messages: Sequence[Message], contents: Sequence[str], names: Sequence[str]) -> Run:
        turns: list[dict[str, object]] = []
        for message, content, name in zip(messages, contents, names, strict=True):
            turn: dict[str, object] = {"role": message.role, "content": content}
            if self._has_parts:
                turn["content"] = [{"type": "text", "text": content}]
            if name:
                turn["name"] = name
            turns.append(turn)
        # Templates test for `none` what `transformers` gives them as None.
        variables = {"messages": turns, "tools": None, "documents": None, "add_generation_prompt": True}
        return Run({**variables, **self._variables}, 2 * (_length(contents) + _length(names)))

    def _plain(self, messages: Sequence[Message]) -> str:
        run = self._run(messages, [message.text for message in messages], ["" for _ in messages])
        return self._program.render([run])[0]

    def _holds(self, messages: Sequence[Message]) -> bool:
        """Whether the template takes the messages and writes their contents."""
        with contextlib.suppress(ChatTemplateError):
            return _PROBE in self._plain(messages)
        return False

    def _tells_developer(self) -> bool:
        """Whether the template handles the role itself, rather than writing the name of any role."""
        found = []
        for role in (_DEVELOPER, _OTHER_ROLE):
            with contextlib.suppress(ChatTemplateError):
                found.append(self._plain([text_message(role, _PROBE), text_message("user", "x")]).replace(role, "role"))
        return self._holds([text_message(_DEVELOPER, _PROBE), text_message("user", "x")]) and len(set(found)) == len(
            found
        )


def _length(texts: Iterable[str]) -> int:
    return sum(map(len, texts))
