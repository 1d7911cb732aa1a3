"""A conversation as the model wants to read it: its own chat template, with no way for text to forge a role.

The template is rendered with unguessable placeholders where contents and names belong. What it wrote around them may
become control tokens, what the messages hold may not. A second rendering, with the real contents, checks that the
template only placed them. Where it did more (cut out a thought, quoted as JSON), that second rendering is used, with
every control token's name in the contents broken, and refused should it still hold other control tokens than the
first: text that only becomes a marker by what the template cut out of it. We add no system prompt of our own.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from homeport.domain.content import Message
from homeport.domain.errors import InvalidRequest
from homeport.engines.text.control_tokens import ControlTokenGuard, TextSpan
from homeport.engines.text.executor import Tokenizer
from homeport.engines.text.length_limits import TokenLimit
from homeport.engines.text.sandbox import ChatTemplateError
from homeport.engines.text.template_renderer import Check, RenderedConversation, TemplateRenderer

PARAM = "messages"


class Rendered(NamedTuple):
    """A conversation's tokens, up to where the answer begins, and the same as text.

    `changes`: what had to be done to the messages for this template, see `variants`.
    """

    ids: list[int]
    text: str
    changes: tuple[str, ...] = ()


class ChatTemplate:
    """One model's chat template. `can_chat` is False where it has none, or one that does not compile.

    Raises Unavailable where the process that is to render it does not start.
    """

    def __init__(self, executor: Tokenizer) -> None:
        self._start = executor.vocabulary.start_token
        self._fault = "This model has no chat template: use /v1/completions."
        self._renderer: TemplateRenderer | None = None
        source = executor.metadata.get("tokenizer.chat_template", "")
        names = {
            f"{short}_token": _token_name(executor, f"tokenizer.ggml.{kind}_token_id")
            for short, kind in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        }
        if source:
            try:
                self._renderer = TemplateRenderer(source, names)
            except ChatTemplateError as error:
                self._fault = str(error)
        self._markup = ControlTokenGuard(executor, source)

    @property
    def can_chat(self) -> bool:
        """Whether conversations can be rendered at all."""
        return self._renderer is not None

    def render(self, messages: Sequence[Message], limit: TokenLimit | None = None) -> Rendered:
        """Tokens of a conversation with the model's turn opened. Raises InvalidRequest (param `messages`).

        With a limit, stops where that is passed, and asks between pieces whether to go on.
        """
        if self._renderer is None:
            raise InvalidRequest(self._fault, param=PARAM)
        for message in messages:
            if not message.role.isidentifier():
                raise InvalidRequest(f"'{message.role[:200]}' is not a role.", param=PARAM)
        check = limit.check if limit else None
        try:
            placement = self._renderer.place(messages, check)
            ids = self._tokens(self._renderer, placement, limit)
        except ChatTemplateError as error:
            raise InvalidRequest(str(error), param=PARAM) from error
        if self._start is not None and ids[:1] != [self._start]:
            ids.insert(0, self._start)
        return Rendered(ids, placement.text, placement.changes)

    def close(self) -> None:
        """Free what it holds."""
        if self._renderer is not None:
            self._renderer.close()

    def _tokens(
        self, renderer: TemplateRenderer, placement: RenderedConversation, limit: TokenLimit | None
    ) -> list[int]:
        for change in (str, str.strip):
            parts = placement.slots.parts(placement.framed, change)
            if "".join(part.text for part in parts) == placement.text:
                return self._markup.tokenize(parts, limit)
        expected = self._markup.find_control_tokens(
            self._markup.tokenize(placement.slots.parts(placement.framed), limit)
        )
        return self._render_neutralized(renderer, placement, expected, limit.check if limit else None)

    def _render_neutralized(
        self, renderer: TemplateRenderer, placement: RenderedConversation, expected: list[int], check: Check | None
    ) -> list[int]:
        """Ids where the template changes contents. Raises InvalidRequest where that makes a marker."""
        gap = secrets.token_hex(16)
        text = renderer.render(placement, lambda content: self._markup.neutralize(content, gap), check)
        ids = [
            token
            for chunk in text.split(gap)
            for token in self._markup.tokenize([TextSpan(chunk, allows_control=True)])
        ]
        if self._markup.find_control_tokens(ids) != expected:
            raise InvalidRequest("The model's chat template turns this text into control tokens.", param=PARAM)
        return ids


def _token_name(executor: Tokenizer, key: str) -> str:
    """The name of the token whose id the metadata gives under `key`."""
    id = executor.metadata.get(key, "")
    return executor.vocabulary.special.get(int(id), "") if id.isdecimal() else ""
