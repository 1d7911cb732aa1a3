"""A conversation as the model wants to read it: its own chat template, with no way for text to forge a role.

The template is rendered with unguessable placeholders where contents and names belong. What it wrote around them may
become control tokens, what the messages hold may not. A second rendering, with the real contents, checks that the
template only placed them. Where it did more (cut out a thought, quoted as JSON), that second rendering is used, with
every control token's name in the contents broken, and refused should it still hold other control tokens than the
first: text that only becomes a marker by what the template cut out of it. We add no system prompt of our own.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.domain.text import Message
from homeport.engines.text.executor import Speech
from homeport.engines.text.markup import Markup, Part
from homeport.engines.text.sandbox import Program, TemplateRefused

PARAM = "messages"


class Rendered(NamedTuple):
    """A conversation's tokens, up to where the answer begins, and the same as text."""

    ids: list[int]
    text: str


class _Slot(NamedTuple):
    """A placeholder and the text it stands for."""

    mark: str
    text: str


class ChatTemplate:
    """One model's chat template. `can_chat` is False where it has none, or one that does not compile."""

    def __init__(self, executor: Speech) -> None:
        self._start = executor.vocabulary.start
        self._fault = "This model has no chat template: use /v1/completions."
        self._program: Program | None = None
        source = executor.metadata.get("tokenizer.chat_template", "")
        if source:
            try:
                self._program = Program(source)
            except TemplateRefused as error:
                self._fault = str(error)
        self._markup = Markup(executor, source)
        self._names = {
            f"{short}_token": _name(executor, f"tokenizer.ggml.{kind}_token_id")
            for short, kind in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"))
        }

    @property
    def can_chat(self) -> bool:
        """Whether conversations can be rendered at all."""
        return self._program is not None

    def render(self, messages: Sequence[Message]) -> Rendered:
        """Tokens of a conversation with the model's turn opened. Raises InvalidRequest (param `messages`)."""
        if self._program is None:
            raise InvalidRequest(self._fault, param=PARAM)
        for message in messages:
            if not message.role.isidentifier():
                raise InvalidRequest(f"'{message.role}' is not a role.", param=PARAM)
        roles = [self._role(message.role) for message in messages]
        messages = [msgspec.structs.replace(message, role=role) for message, role in zip(messages, roles, strict=True)]
        try:
            ids, text = self._rendered(self._program, messages)
        except TemplateRefused as error:
            raise InvalidRequest(str(error), param=PARAM) from error
        if self._start is not None and ids[:1] != [self._start]:
            ids.insert(0, self._start)
        return Rendered(ids, text)

    def _role(self, role: str) -> str:
        """What newer clients call `developer` is `system` to templates that do not know the word."""
        is_unknown = self._program is not None and "developer" not in self._program.source
        return "system" if role == "developer" and is_unknown else role

    def _rendered(self, program: Program, messages: Sequence[Message]) -> Rendered:
        contents, names = _slots(messages)
        framed = self._run(program, messages, contents, names)
        unused = [index for index, name in enumerate(names) if name.text and name.mark not in framed]
        if unused:
            messages = [_prefixed(message) if index in unused else message for index, message in enumerate(messages)]
            contents, names = _slots(messages)
            framed = self._run(program, messages, contents, names)
        for message, content in zip(messages, contents, strict=True):
            if content.text and content.mark not in framed:
                raise InvalidRequest(
                    f"The model's chat template has no place for a message of role '{message.role}'.", param=PARAM
                )
        wanted = self._run(program, messages, *_themselves(contents, names))
        plain = {slot.mark: slot.text for slot in (*contents, *names) if slot.text}
        for fillings in (plain, {mark: text.strip() for mark, text in plain.items()}):
            parts = _parts(framed, fillings)
            if "".join(part.text for part in parts) == wanted:
                return Rendered(self._markup.tokenise(parts), wanted)
        expected = self._markup.controls(self._markup.tokenise(_parts(framed, plain)))
        return Rendered(self._defused(program, messages, expected), wanted)

    def _defused(self, program: Program, messages: Sequence[Message], expected: list[int]) -> list[int]:
        """Ids where the template changes contents. Raises InvalidRequest where that makes a marker."""
        gap = secrets.token_hex(16)
        contents, names = (
            [_Slot(self._markup.defused(slot.text, gap), slot.text) for slot in slots] for slots in _slots(messages)
        )
        text = self._run(program, messages, contents, names)
        ids = [token for chunk in text.split(gap) for token in self._markup.tokenise([Part(chunk, is_markup=True)])]
        if self._markup.controls(ids) != expected:
            raise InvalidRequest("The model's chat template turns this text into control tokens.", param=PARAM)
        return ids

    def _run(
        self, program: Program, messages: Sequence[Message], contents: Sequence[_Slot], names: Sequence[_Slot]
    ) -> str:
        turns = []
        for message, content, name in zip(messages, contents, names, strict=True):
            turn = {"role": message.role, "content": content.mark}
            if name.text:
                turn["name"] = name.mark
            turns.append(turn)
        variables: dict[str, object] = {"messages": turns, "add_generation_prompt": True, **self._names}
        return program.render(variables, characters=sum(len(slot.mark) for slot in (*contents, *names)) * 2)


def _slots(messages: Sequence[Message]) -> tuple[list[_Slot], list[_Slot]]:
    """Fresh placeholders for contents and names. What is empty stays empty: templates ask whether there is any."""
    secret = secrets.token_hex(16)
    contents = [_Slot(f"x{secret}c{i}x" if m.content else "", m.content) for i, m in enumerate(messages)]
    names = [_Slot(f"x{secret}n{i}x" if m.name else "", m.name or "") for i, m in enumerate(messages)]
    return contents, names


def _themselves(contents: Sequence[_Slot], names: Sequence[_Slot]) -> tuple[list[_Slot], list[_Slot]]:
    """Slots whose placeholder is the text itself."""
    return [_Slot(slot.text, slot.text) for slot in contents], [_Slot(slot.text, slot.text) for slot in names]


def _prefixed(message: Message) -> Message:
    return msgspec.structs.replace(message, content=f"{message.name}: {message.content}", name=None)


def _parts(framed: str, fillings: Mapping[str, str]) -> list[Part]:
    """The template's own text as markup, with each placeholder's filling as plain text."""
    if not fillings:
        return [Part(framed, is_markup=True)]
    pieces = re.split("(" + "|".join(map(re.escape, fillings)) + ")", framed)
    return [
        Part(fillings[piece], is_markup=False) if index % 2 else Part(piece, is_markup=True)
        for index, piece in enumerate(pieces)
    ]


def _name(executor: Speech, key: str) -> str:
    """The name of the token whose id the metadata gives under `key`."""
    id = executor.metadata.get(key, "")
    return executor.vocabulary.special.get(int(id), "") if id.isdecimal() else ""
