"""Renders a conversation with the model's chat template and tokenizes it, so that no text can forge a role or a call.

The template is rendered with random placeholders for contents, names and reasoning. Its own text around them may become
control tokens, the messages' text may not. A second rendering, with the real texts, checks that the template only
inserted them. If it did more (removed a thought, quoted as JSON), the second rendering is used, with every control
token's name in the texts split. It is refused if it still has other control tokens than the first, which happens if a
text becomes a marker only because the template cut something out of it. Tools and calls are part of the template's own
text, because templates read them, but names of control tokens in their strings are always split. Homeport adds no
system prompt of its own, except for tools that the template has no place for.
"""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.domain.text import ChatPrompt
from homeport.engines.text.answers.answer_format import AnswerFormat
from homeport.engines.text.executor import Tokenizer
from homeport.engines.text.media.blocks import MediaContent, PlacedBlock
from homeport.engines.text.prompt_length_limits import TokenLimit
from homeport.engines.text.templates.control_tokens import ControlTokenGuard, TextSpan, find_special_token
from homeport.engines.text.templates.media_marks import MediaMarks
from homeport.engines.text.templates.model_families import GENERIC
from homeport.engines.text.templates.reasoning_switch import NONE, empty_thought, is_closed, is_open
from homeport.engines.text.templates.renderer import RenderedConversation, TemplateRenderer
from homeport.engines.text.templates.sandbox import ChatTemplateError

PARAM = "messages"


class Rendered(NamedTuple):
    """A conversation's tokens, up to the start of the answer, and the same as text.

    `changes`: the changes to the messages that this template needed, see `message_variants`. `starts_in_reasoning`: the
    answer begins with reasoning, whose begin mark is part of the prompt. `may_reason`: the answer may have reasoning.
    `media`: the blocks of media among the ids, by place.
    """

    ids: list[int]
    text: str
    changes: tuple[str, ...] = ()
    starts_in_reasoning: bool = False
    may_reason: bool = False
    media: tuple[PlacedBlock, ...] = ()


class _Spans(NamedTuple):
    """A rendered conversation, what follows it, what separates texts in it, and the marks of its media."""

    rendered: RenderedConversation
    end: TextSpan
    gap: str
    marks: MediaMarks


class ToolSupport(msgspec.Struct, frozen=True):
    """Facts about a model for users.

    `family`: how it writes tool calls; empty: it cannot chat. `is_verified`: tested with a real template. `reasoning`:
    whether it may reason before it answers. `switch`: the template's variables that control it; empty: none.
    """

    family: str = ""
    is_verified: bool = False
    reasoning: bool = False
    switch: str = ""

    @property
    def reasoning_switch(self) -> str:
        """The variables that control reasoning; `always`: there are none; `none`: no reasoning; empty: no chat."""
        if not self.family:
            return ""
        return (self.switch or "always") if self.reasoning else "none"


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

    @property
    def answer_format(self) -> AnswerFormat:
        """How the model writes its answers."""
        return self._renderer.support.format if self._renderer else AnswerFormat(GENERIC)

    @property
    def support(self) -> ToolSupport:
        """Facts about tools and reasoning."""
        if self._renderer is None:
            return ToolSupport()
        found = self._renderer.support
        return ToolSupport(
            found.format.family, found.is_verified, found.format.reasoning is not None, found.switch.name
        )

    def render(
        self, prompt: ChatPrompt, limit: TokenLimit | None = None, media: Sequence[MediaContent] = ()
    ) -> Rendered:
        """Return the tokens of a conversation up to the start of the answer. `media`: what stands for each of its.

        Raises InvalidRequest; `param` is `messages`, or names a call's arguments or a tool's parameters. With a limit,
        stops when it is exceeded, and calls its check between pieces of work.
        """
        if self._renderer is None:
            raise InvalidRequest(self._error, param=PARAM)
        for message in prompt.messages:
            if not message.role.isidentifier():
                raise InvalidRequest(f"'{message.role[:200]}' is not a role.", param=PARAM)
        check = limit.check if limit else None
        gap = str(secrets.randbits(128))  # digits, which templates do not change
        marks = MediaMarks(media)
        prompt = msgspec.structs.replace(prompt, messages=marks.mark(prompt.messages))
        try:
            rendered = self._renderer.render_prompt(
                prompt, lambda text, is_name: self._guard.separate(text, gap, is_name=is_name), check
            )
            end, starts_in_reasoning, may_reason = self._reasoning(rendered, prompt.reasoning.effort == NONE)
            spans = _Spans(rendered, TextSpan(end, allows_control=True), gap, marks)
            ids, placed, text = self._tokens(self._renderer, spans, limit)
        except ChatTemplateError as error:
            raise InvalidRequest(str(error), param=PARAM) from error
        if self._start is not None and ids[:1] != [self._start]:
            ids.insert(0, self._start)
            placed = [each._replace(start=each.start + 1) for each in placed]
        text = marks.remove(text.replace(gap, "")) + end
        return Rendered(ids, text, rendered.changes, starts_in_reasoning, may_reason, tuple(placed))

    def close(self) -> None:
        """Free its resources."""
        if self._renderer is not None:
            self._renderer.close()

    def _reasoning(self, rendered: RenderedConversation, is_off: bool) -> tuple[str, bool, bool]:
        """Return what to append to the prompt, whether the answer starts in reasoning, and whether it may reason."""
        format = self.answer_format.reasoning
        if format is None:
            return "", False, False
        prompt = rendered.with_placeholders  # a text cannot look like a mark there
        if is_off:
            return empty_thought(format, prompt), False, False
        return "", is_open(format, prompt), not is_closed(format, prompt)

    def _tokens(
        self, renderer: TemplateRenderer, spans: _Spans, limit: TokenLimit | None
    ) -> tuple[list[int], list[PlacedBlock], str]:
        """Return the ids, the blocks of media among them, and the text, which may have gaps and marks.

        Raises InvalidRequest if the template creates a marker.
        """
        rendered, end, gap, marks = spans
        for change in (str, str.strip):
            own = rendered.placeholders.spans(rendered.with_placeholders, change)
            if "".join(span.text for span in own) == rendered.text:
                return *marks.tokenize(self._guard, [*own, end], limit, gap), rendered.text
        own = rendered.placeholders.spans(rendered.with_placeholders)
        expected = self._guard.find_control_tokens(marks.tokenize(self._guard, [*own, end], limit, gap)[0])
        text = renderer.render_changed(
            rendered,
            lambda content, is_answer: self._guard.neutralize(content, gap, keeps_thoughts=is_answer),
            limit.check if limit else None,
        )
        ids, media = marks.tokenize(self._guard, [TextSpan(text, allows_control=True), end], gap=gap)
        if self._guard.find_control_tokens(ids) != expected:
            raise InvalidRequest("The model's chat template turns this text into control tokens.", param=PARAM)
        return ids, media, text
