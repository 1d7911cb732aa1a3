"""From examples to tokens with weights: what the model reads, and how much each token of it counts.

A prompt is tokenised exactly as a request of the same text or conversation is, and an answer as what is drawn behind
it, so that what was learnt is what will be asked. Knows nothing of gradients.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from homeport.domain.content import Message, text_message
from homeport.domain.errors import HomeportError, InvalidRequest
from homeport.training.dataset import (
    CompletionExample,
    ConversationExample,
    Example,
    PreferenceExample,
)


class ModelReader(Protocol):
    """The model as its file tells it; in the process that trains, an engine's reader fills it."""

    window: int

    @property
    def parameters(self) -> int:
        """Numbers in all tensors."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of itself, arrays left out."""
        ...

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        ...

    @property
    def start(self) -> tuple[int, ...]:
        """What stands before a document."""
        ...

    @property
    def document_end(self) -> int:
        """The token that ends a document."""
        ...

    def tokenize_plain(self, text: str) -> list[int]:
        """Text that holds no control tokens to ids."""
        ...

    def render_conversation(self, messages: Sequence[Message]) -> list[int]:
        """A conversation with the model's turn opened. Raises InvalidRequest where the model has no place for it."""
        ...

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """Every tensor of the file by name, as float32 rows."""
        ...

    def adapter(self, file: Path) -> Iterator[tuple[str, Any]]:
        """Every tensor of an adapter by name, as float32 rows."""
        ...

    def close(self) -> None:
        """Free what was loaded; `tensors` can still be read."""
        ...


class TokenizedExample(msgspec.Struct, frozen=True):
    """Tokens in a row, and how much it counts that each is foretold by those before it (the first never counts)."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def size(self) -> int:
        """Tokens."""
        return len(self.ids)


class TokenizedPair(msgspec.Struct, frozen=True):
    """Two answers to the same: the first is to become likelier than the second."""

    chosen: TokenizedExample
    rejected: TokenizedExample

    @property
    def size(self) -> int:
        """Tokens of both."""
        return self.chosen.size + self.rejected.size


class ExampleTokenizer:
    """Makes lessons for one model. `longest`: tokens that one may have; `prompt_weight`: of a raw prompt's tokens."""

    def __init__(self, source: ModelReader, *, longest: int, prompt_weight: float) -> None:
        self._source = source
        self._longest = longest
        self._prompt_weight = prompt_weight
        self._end: int | None = None

    def tokenize_all(
        self, examples: Sequence[Example], param: str
    ) -> tuple[list[TokenizedExample], list[TokenizedPair]]:
        """The lessons of all examples, of one kind or the other. Raises InvalidRequest naming the example."""
        lessons: list[TokenizedExample] = []
        pairs: list[TokenizedPair] = []
        for number, example in enumerate(examples, 1):
            try:
                if isinstance(example, PreferenceExample):
                    pairs.append(self._pair(example))
                else:
                    lessons += self._tokenize(example)
            except HomeportError as error:
                raise InvalidRequest(f"Example {number} cannot be learnt: {error.message}", param=param) from error
        return lessons, pairs

    def tokenize_completion(self, prompt: str, completion: str) -> TokenizedExample:
        """A completion whose prompt does not count. Raises InvalidRequest where both are too long."""
        return self._tokenize_text(prompt, completion, 0.0)

    def _tokenize(self, example: CompletionExample | ConversationExample) -> list[TokenizedExample]:
        if isinstance(example, ConversationExample):
            return self._conversation(example)
        return [self._tokenize_text(example.prompt, example.completion, self._prompt_weight)]

    def _tokenize_text(self, prompt: str, completion: str, prompt_weight: float) -> TokenizedExample:
        asked = [*self._source.start, *self._source.tokenize_plain(prompt)]
        asked = asked or [self._source.document_end]  # as an empty prompt is served
        answer = [*self._source.tokenize_plain(completion), self._source.document_end]
        return self._fitting(asked + answer, [prompt_weight] * len(asked) + [1.0] * len(answer))

    def _conversation(self, example: ConversationExample) -> list[TokenizedExample]:
        """One lesson where each turn's prompt begins with the one before and its answer, as most templates have it."""
        found: list[TokenizedExample] = []
        ids: list[int] = []
        weights: list[float] = []
        for at in example.trained_turns:
            asked, answer = self._split_turn(example.messages[:at], example.messages[at].text)
            if ids and asked[: len(ids)] != ids:
                found.append(self._fitting(ids, weights))
                ids, weights = [], []
            weights += [0.0] * (len(asked) - len(ids)) + [1.0] * len(answer)
            ids = asked + answer
        return [*found, self._fitting(ids, weights)]

    def _pair(self, example: PreferenceExample) -> TokenizedPair:
        chosen, rejected = (
            self._tokenize_answer(example.messages, content) for content in (example.preferred, example.rejected)
        )
        return TokenizedPair(chosen, rejected)

    def _tokenize_answer(self, messages: Sequence[Message], content: str) -> TokenizedExample:
        asked, answer = self._split_turn(messages, content)
        return self._fitting(asked + answer, [0.0] * len(asked) + [1.0] * len(answer))

    def _split_turn(self, messages: Sequence[Message], content: str) -> tuple[list[int], list[int]]:
        """What asks for an answer, and the answer with the token that ends it."""
        if self._end is None:
            self._end = self._end_of_turn()
        return self._source.render_conversation(messages), [*self._source.tokenize_plain(content), self._end]

    def _end_of_turn(self) -> int:
        """The token that the model's template puts behind an answer."""
        question = text_message("user", "a")
        asked = self._source.render_conversation([question])
        answered = self._source.render_conversation([question, text_message("assistant", "b"), question])
        # Where the template rewrites earlier turns, the first end behind them is as near as can be told.
        begin = len(asked) if answered[: len(asked)] == asked else 0
        return next((token for token in answered[begin:] if token in self._source.ends), self._source.document_end)

    def _fitting(self, ids: list[int], weights: list[float]) -> TokenizedExample:
        if len(ids) > self._longest:
            raise InvalidRequest(f"it has {len(ids)} tokens; {self._longest} are the most that one may have.")
        return TokenizedExample(tuple(ids), tuple(weights))


def group_by_length(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Places of lessons to be computed together: of like length, padded to `most` tokens or one lesson alone."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place], reverse=True)
    found: list[list[int]] = []
    for place in order:
        if found and lengths[found[-1][0]] * (len(found[-1]) + 1) <= max_tokens:
            found[-1].append(place)
        else:
            found.append([place])
    return found
