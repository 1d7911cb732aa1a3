"""Renders a conversation with a chat template: its text, where the contents are, and the changes to the messages.

Templates differ in what they accept: contents as lists of parts, the `developer` role, system messages, roles that do
not alternate. The first two are determined when the template is compiled, the others when it refuses a conversation.
Templates of tested models run in this process, all others in a separate one. Knows nothing of tokens.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from homeport.domain.content import Message, text_message
from homeport.engines.text.message_variants import (
    MessageVariant,
    include_name,
    list_variants,
    replace_developer_role,
)
from homeport.engines.text.prompt_length_limits import Check
from homeport.engines.text.template_placeholders import Placeholders
from homeport.engines.text.template_process import IsolatedProgram
from homeport.engines.text.template_sandbox import ChatTemplateError, Run, SandboxedTemplate, TemplateStopped

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

    def close(self) -> None:
        """Free its resources."""
        ...


def is_known(source: str) -> bool:
    """Return whether a template may run in this process."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest() in KNOWN


class RenderedConversation(NamedTuple):
    """A rendering with placeholders and one with the contents (`text`), of the possibly changed messages."""

    messages: Sequence[Message]
    placeholders: Placeholders
    with_placeholders: str
    text: str
    changes: tuple[str, ...]


class TemplateRenderer:
    """One model's template. `variables` are passed to it along with the messages. Raises ChatTemplateError."""

    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._program: TemplateProgram = SandboxedTemplate(source) if is_known(source) else IsolatedProgram(source)
        self._has_parts = False
        probe = [text_message("user", _PROBE)]
        if not self._accepts(probe):
            self._has_parts = True
            self._has_parts = self._accepts(probe)
        self.knows_developer = _DEVELOPER in source and self._handles_developer()

    def render_messages(self, messages: Sequence[Message], check: Check | None = None) -> RenderedConversation:
        """Render the first variant that the template writes completely. Raises the first ChatTemplateError if none."""
        variants = list_variants(replace_developer_role(messages))
        if self.knows_developer and any(message.role == _DEVELOPER for message in messages):
            variants = chain(list_variants(messages), variants)
        refusal: ChatTemplateError | None = None
        for variant in variants:
            try:
                return self._render_variant(variant, check)
            except TemplateStopped:
                raise
            except ChatTemplateError as error:
                refusal = refusal or error
        raise refusal or ChatTemplateError("There is no message.")

    def render_changed(
        self, rendered: RenderedConversation, change: Callable[[str], str], check: Check | None = None
    ) -> str:
        """Render the same messages again, with `change` applied to contents and names. Raises ChatTemplateError."""
        return self._program.render([self._run(rendered.messages, *rendered.placeholders.texts(change))], check)[0]

    def close(self) -> None:
        """Free its resources."""
        self._program.close()

    def _render_variant(self, variant: MessageVariant, check: Check | None) -> RenderedConversation:
        rendered, unused = self._render_both(variant, check)
        if unused:
            messages = [
                include_name(message) if at in unused else message for at, message in enumerate(variant.messages)
            ]
            rendered, _ = self._render_both(variant._replace(messages=messages), check)
        written = rendered.placeholders.find(rendered.with_placeholders)
        for message, content in zip(rendered.messages, rendered.placeholders.contents, strict=True):
            if content.text and content.mark not in written:
                raise ChatTemplateError(
                    f"The model's chat template has no place for a message of role '{message.role}'."
                )
        return rendered

    def _render_both(self, variant: MessageVariant, check: Check | None) -> tuple[RenderedConversation, set[int]]:
        """Render with placeholders and with contents; also return the messages whose names were not written."""
        messages, changes = variant
        placeholders = Placeholders(messages)
        runs = [self._run(messages, *placeholders.marks), self._run(messages, *placeholders.texts())]
        with_placeholders, text = self._program.render(runs, check)
        written = placeholders.find(with_placeholders)
        unused = {at for at, name in enumerate(placeholders.names) if name.text and name.mark not in written}
        return RenderedConversation(messages, placeholders, with_placeholders, text, changes), unused

    def _run(self, messages: Sequence[Message], contents: Sequence[str], names: Sequence[str]) -> Run:
        turns: list[dict[str, object]] = []
        for message, content, name in zip(messages, contents, names, strict=True):
            turn: dict[str, object] = {"role": message.role, "content": content}
            if self._has_parts:
                turn["content"] = [{"type": "text", "text": content}]
            if name:
                turn["name"] = name
            turns.append(turn)
        # `transformers` passes these as None, and templates test for `none`.
        variables = {"messages": turns, "tools": None, "documents": None, "add_generation_prompt": True}
        return Run({**variables, **self._variables}, 2 * (_length(contents) + _length(names)))

    def _plain(self, messages: Sequence[Message]) -> str:
        run = self._run(messages, [message.text for message in messages], ["" for _ in messages])
        return self._program.render([run])[0]

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


def _length(texts: Iterable[str]) -> int:
    return sum(map(len, texts))
