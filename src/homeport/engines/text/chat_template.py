"""Renders a conversation with the model's chat template and tokenizes it, so that no text can forge a role.

The template is rendered with random placeholders for contents and names. Its own text around them may become control
tokens, the messages' text may not. A second rendering, with the real contents, checks that the template only inserted
them. If it did more (removed a thought, quoted as JSON), the second rendering is used, with every control token's name
in the contents split. It is refused if it still has other control tokens than the first, which happens if a text
becomes a marker only because the template cut something out of it. Homeport adds no system prompt of its own.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from homeport.domain.content import Message
from homeport.domain.errors import InvalidRequest
from homeport.engines.text.control_tokens import ControlTokenGuard, TextSpan, find_special_token
from homeport.engines.text.executor import Tokenizer
from homeport.engines.text.prompt_length_limits import Check, TokenLimit
from homeport.engines.text.template_renderer import RenderedConversation, TemplateRenderer
from homeport.engines.text.template_sandbox import ChatTemplateError

PARAM = "messages"


class Rendered(NamedTuple):
    """A conversation's tokens, up to the start of the answer, and the same as text.

    `changes`: the changes to the messages that this template needed, see `message_variants`.
    """

    ids: list[int]
    text: str
    changes: tuple[str, ...] = ()


class ChatTemplate:
    """One model's chat template. `can_chat` is False if it has none, or one that does not compile.

    Raises Unavailable if the process that renders it does not start.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._start = tokenizer.vocabulary.start_token
        self._error = "This model has no chat template: use /v1/completions."
        self._renderer: TemplateRenderer | None = None
        source = tokenizer.metadata.get("tokenizer.chat_template", "")
        names = {
            f"{short}_token": find_special_token(tokenizer, role) or ""
            for short, role in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        }
        if source:
            try:
                self._renderer = TemplateRenderer(source, names)
            except ChatTemplateError as error:
                self._error = str(error)
        self._guard = ControlTokenGuard(tokenizer, source)

    @property
    def can_chat(self) -> bool:
        """Whether conversations can be rendered."""
        return self._renderer is not None

    def render(self, messages: Sequence[Message], limit: TokenLimit | None = None) -> Rendered:
        """Return the tokens of a conversation up to the start of the answer. Raises InvalidRequest (param `messages`).

        With a limit, stops when it is exceeded, and calls its check between pieces of work.
        """
        if self._renderer is None:
            raise InvalidRequest(self._error, param=PARAM)
        for message in messages:
            if not message.role.isidentifier():
                raise InvalidRequest(f"'{message.role[:200]}' is not a role.", param=PARAM)
        check = limit.check if limit else None
        try:
            rendered = self._renderer.render_messages(messages, check)
            ids = self._tokens(self._renderer, rendered, limit)
        except ChatTemplateError as error:
            raise InvalidRequest(str(error), param=PARAM) from error
        if self._start is not None and ids[:1] != [self._start]:
            ids.insert(0, self._start)
        return Rendered(ids, rendered.text, rendered.changes)

    def close(self) -> None:
        """Free its resources."""
        if self._renderer is not None:
            self._renderer.close()

    def _tokens(
        self, renderer: TemplateRenderer, rendered: RenderedConversation, limit: TokenLimit | None
    ) -> list[int]:
        for change in (str, str.strip):
            spans = rendered.placeholders.spans(rendered.with_placeholders, change)
            if "".join(span.text for span in spans) == rendered.text:
                return self._guard.tokenize(spans, limit)
        spans = rendered.placeholders.spans(rendered.with_placeholders)
        expected = self._guard.find_control_tokens(self._guard.tokenize(spans, limit))
        return self._render_neutralized(renderer, rendered, expected, limit.check if limit else None)

    def _render_neutralized(
        self, renderer: TemplateRenderer, rendered: RenderedConversation, expected: list[int], check: Check | None
    ) -> list[int]:
        """Return the ids if the template changes contents. Raises InvalidRequest if that creates a marker."""
        gap = secrets.token_hex(16)
        text = renderer.render_changed(rendered, lambda content: self._guard.neutralize(content, gap), check)
        ids = [
            token for chunk in text.split(gap) for token in self._guard.tokenize([TextSpan(chunk, allows_control=True)])
        ]
        if self._guard.find_control_tokens(ids) != expected:
            raise InvalidRequest("The model's chat template turns this text into control tokens.", param=PARAM)
        return ids
