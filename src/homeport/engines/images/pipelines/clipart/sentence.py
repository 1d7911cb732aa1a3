"""Reads a prompt as a scene: the things that the model can draw, and their places. Knows nothing of vectors or pixels.

A sentence becomes a list of parts (things, places, separators), in which English puts a place before its object and
Chinese after it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from homeport.engines.images.pipelines.clipart import tokens
from homeport.engines.images.pipelines.clipart.chinese import RIDES
from homeport.engines.images.pipelines.clipart.clauses import ChineseClauses, Clauses, EnglishClauses
from homeport.engines.images.pipelines.clipart.grammar import (
    ALL_COLORS,
    BIG,
    COLORS,
    SEVERAL,
    SMALL,
    Kind,
    Token,
)
from homeport.engines.images.pipelines.clipart.scene import MAX_THINGS, PromptScene, Thing
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary, NamedDrawing

FindDrawing = Callable[[str], NamedDrawing | None]
"""Finds the drawing that a noun phrase without a known name means, by its vector; None if none is near enough."""
_MAX_PHRASES = 8
"""Unknown phrases of a prompt that are looked up by their vectors."""


def read_scene(prompt: str, vocabulary: DrawingVocabulary, find: FindDrawing) -> PromptScene | None:
    """Return the scene of a prompt in English or Chinese; None in other languages."""
    language = tokens.language_of(prompt)
    if language is None:
        return None
    is_chinese = language == "zh"
    split = tokens.chinese_tokens if is_chinese else tokens.english_tokens
    reader = _Reader(vocabulary, find, ChineseClauses() if is_chinese else EnglishClauses(), is_chinese=is_chinese)
    return reader.read(split(prompt, vocabulary), language)


@dataclass(slots=True)
class _Phrase:
    """A noun phrase as far as it has been read."""

    count: int = 1
    color: str = ""
    size: float = 1.0
    has_count: bool = False
    words: list[str] = field(default_factory=list)
    thing: Token | None = None
    is_definite: bool = False
    is_closed: bool = False
    is_modifier: bool = False

    @property
    def is_empty(self) -> bool:
        return self.thing is None and not self.words


class _Reader:
    """Reads the tokens of one prompt."""

    def __init__(self, vocabulary: DrawingVocabulary, find: FindDrawing, clauses: Clauses, *, is_chinese: bool) -> None:
        self._vocabulary, self._find, self._clauses, self._is_chinese = vocabulary, find, clauses, is_chinese
        self._things: list[Thing] = []
        self._left_out: list[str] = []
        self._phrase = _Phrase()
        self._looked_up = 0
        self._is_object = False  # of riding or wearing
        self._is_part = False  # after "of": the next phrase is what the last one is made of

    def read(self, found: Iterable[Token], language: str) -> PromptScene:
        """Return the scene."""
        for token in found:
            self._take(token)
        self._end_phrase()
        self._clauses.end()
        left_out = tuple(dict.fromkeys(text for text in self._left_out if text))
        return PromptScene(tuple(self._things), tuple(self._clauses.relations), left_out, language)

    def _take(self, token: Token) -> None:
        kind, phrase = token.kind, self._phrase
        if kind in {Kind.ARTICLE, Kind.COUNT}:
            self._begin_phrase()
            if kind is Kind.COUNT:
                self._phrase.count, self._phrase.has_count = max(1, int(token.value or 1)), True
            self._phrase.is_definite = token.text in {"the", "this", "that"}
        elif kind in {Kind.COLOR, Kind.SIZE}:
            if phrase.thing:
                self._begin_phrase()
            self._describe(token)
        elif kind is Kind.OTHER:
            self._take_other(token.text)
        elif kind is Kind.THING:
            self._name(token)
        elif kind is Kind.VERB:
            self._phrase.is_closed = True
        elif kind is Kind.OF:
            self._pass_of()
        elif kind is not Kind.FILLER:
            self._end_phrase()
            self._is_object = kind is Kind.WEARS or token.text in RIDES
            if kind is Kind.STYLE:
                self._left_out.append(token.text.removeprefix("a ").removesuffix(" of").removeprefix("的"))
            else:
                self._clauses.take(token)

    def _take_other(self, text: str) -> None:
        """Take an unknown word. After a thing, it is a verb, an adverb, or after a verb the next thing."""
        if not self._phrase.thing:
            self._phrase.words.append(text)
        elif not self._is_chinese and text.endswith("ing"):
            self._phrase.is_closed = True
        elif not self._is_chinese and self._phrase.is_closed and not text.endswith("ly"):
            self._begin_phrase()
            self._phrase.words.append(text)

    def _describe(self, token: Token) -> None:
        if token.kind is Kind.COLOR:
            self._phrase.color = str(token.value)
        else:
            self._phrase.size *= float(token.value or 1)

    def _name(self, token: Token) -> None:
        """Take a drawing's name. In English, of two names in a row the second is the thing: an apple tree."""
        if self._phrase.thing and self._phrase.is_modifier:
            self._left_out.append(self._phrase.thing.text)
            self._phrase = _Phrase()
        elif self._phrase.thing and (self._is_chinese or self._phrase.is_closed):
            self._begin_phrase()
        self._phrase.thing, self._phrase.words = token, []
        if token.is_plural and not self._phrase.has_count:
            self._phrase.count = SEVERAL

    def _pass_of(self) -> None:
        if self._is_chinese:  # 的: what came before describes a thing that follows, as 夜晚的城市
            self._phrase.words = []
            self._phrase.is_modifier = not self._is_object
        elif self._phrase.thing:
            self._end_phrase()
            self._is_part = True
        else:
            self._phrase.words = []

    def _begin_phrase(self) -> None:
        if not self._phrase.is_empty:
            self._end_phrase()
        else:
            self._phrase = _Phrase()

    def _end_phrase(self) -> None:
        """End a noun phrase: it becomes a thing, or is left out."""
        phrase, self._phrase = self._phrase, _Phrase()
        is_part, self._is_part = self._is_part, False
        if phrase.is_empty or is_part:
            return
        text = "".join(phrase.words) if self._is_chinese else " ".join(phrase.words)
        drawing = phrase.thing.drawing if phrase.thing else self._look_up(text)
        if drawing is None:
            self._left_out.append(text)
            self._clauses.add(None)
            return
        name = phrase.thing.text if phrase.thing else ""
        is_bare = self._is_chinese and not phrase.has_count and phrase.size == 1
        self._add(self._thing(phrase, drawing, name), is_definite=phrase.is_definite or is_bare)

    def _thing(self, phrase: _Phrase, drawing: NamedDrawing, name: str) -> Thing:
        color = phrase.color
        if color:
            own = self._colored(color, name)
            if own is not None:
                drawing, color = own, ""
            elif color in drawing.english.split():
                color = ""
            elif color not in COLORS:
                self._left_out.append(color)
                color = ""
        size = min(max(phrase.size, SMALL * SMALL), BIG * BIG)
        return Thing(drawing, phrase.count, color, size)

    def _colored(self, color: str, name: str) -> NamedDrawing | None:
        """Return the drawing whose own name has this color: a green apple, a black cat."""
        if not self._is_chinese:
            return self._vocabulary.english(f"{color} {name}")
        return next(
            (found for word in ALL_COLORS.get(color, ()) if (found := self._vocabulary.chinese(word + name))),
            None,
        )

    def _look_up(self, text: str) -> NamedDrawing | None:
        if not text or self._looked_up == _MAX_PHRASES:
            return None
        self._looked_up += 1
        return self._find(text)

    def _add(self, thing: Thing, *, is_definite: bool) -> None:
        for index, known in enumerate(self._things):
            if is_definite and known.drawing is thing.drawing and thing.color in {"", known.color}:
                self._clauses.add(index)
                return
        if len(self._things) == MAX_THINGS:
            self._left_out.append(thing.drawing.chinese if self._is_chinese else thing.drawing.english)
            self._clauses.add(None)
            return
        self._things.append(thing)
        self._clauses.add(len(self._things) - 1)
