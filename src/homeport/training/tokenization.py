"""Turns examples into tokens with weights: what the model reads, and how much each token counts in the loss.

A prompt is tokenized exactly like a request of the same text or conversation, and an answer like generated text, so
that training matches serving. Knows nothing of gradients.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from homeport.domain.content import Message, ToolCallPart, text_message
from homeport.domain.errors import HomeportError, InvalidRequest
from homeport.domain.tools import ToolUse
from homeport.training.dataset import (
    CompletionExample,
    ConversationExample,
    Example,
    PreferenceExample,
)


class ModelReader(Protocol):
    """The model in its file; in the training process, an engine's reader implements it."""

    window: int

    @property
    def parameters(self) -> int:
        """The number of elements of all tensors."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """The file's metadata, without arrays."""
        ...

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end an answer."""
        ...

    @property
    def start(self) -> tuple[int, ...]:
        """The tokens before a document."""
        ...

    @property
    def document_end(self) -> int:
        """The token that ends a document."""
        ...

    def tokenize_plain(self, text: str) -> list[int]:
        """Tokenize text without control tokens."""
        ...

    def render_conversation(self, messages: Sequence[Message], tools: ToolUse | None = None) -> list[int]:
        """Tokenize a conversation, with the start of the model's turn. Raises InvalidRequest if that is impossible."""
        ...

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """Yield every tensor of the file by name, as float32 rows."""
        ...

    def adapter(self, file: Path) -> Iterator[tuple[str, Any]]:
        """Yield every tensor of an adapter by name, as float32 rows."""
        ...

    def close(self) -> None:
        """Free what was loaded; `tensors` can still be read."""
        ...


class TokenizedExample(msgspec.Struct, frozen=True):
    """Tokens, and the weight of each in the next-token loss (the first never counts)."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]

    @property
    def size(self) -> int:
        """The number of tokens."""
        return len(self.ids)


class TokenizedPair(msgspec.Struct, frozen=True):
    """Two answers to the same messages: `chosen` should become more likely than `rejected`."""

    chosen: TokenizedExample
    rejected: TokenizedExample

    @property
    def size(self) -> int:
        """The number of tokens of both."""
        return self.chosen.size + self.rejected.size


class ExampleTokenizer:
    """Tokenizes examples for one model. `max_tokens`: the limit of one; `prompt_weight`: for raw prompts."""

    def __init__(self, source: ModelReader, *, max_tokens: int, prompt_weight: float) -> None:
        self._source = source
        self._max_tokens = max_tokens
        self._prompt_weight = prompt_weight
        self._end: int | None = None

    def tokenize_all(
        self, examples: Sequence[Example], param: str
    ) -> tuple[list[TokenizedExample], list[TokenizedPair]]:
        """Tokenize all examples, of one kind or the other. Raises InvalidRequest that names the example."""
        tokenized: list[TokenizedExample] = []
        pairs: list[TokenizedPair] = []
        for number, example in enumerate(examples, 1):
            try:
                if isinstance(example, PreferenceExample):
                    pairs.append(self._pair(example))
                else:
                    tokenized += self._tokenize(example)
            except HomeportError as error:
                raise InvalidRequest(f"Example {number} cannot be trained on: {error.message}", param=param) from error
        return tokenized, pairs

    def tokenize_completion(self, prompt: str, completion: str) -> TokenizedExample:
        """Tokenize a completion whose prompt has weight 0. Raises InvalidRequest if both together are too long."""
        return self._tokenize_text(prompt, completion, 0.0)

    def _tokenize(self, example: CompletionExample | ConversationExample) -> list[TokenizedExample]:
        if isinstance(example, ConversationExample):
            return self._conversation(example)
        return [self._tokenize_text(example.prompt, example.completion, self._prompt_weight)]

    def _tokenize_text(self, prompt: str, completion: str, prompt_weight: float) -> TokenizedExample:
        prompt_ids = [*self._source.start, *self._source.tokenize_plain(prompt)]
        prompt_ids = prompt_ids or [self._source.document_end]  # as an empty prompt is served
        answer = [*self._source.tokenize_plain(completion), self._source.document_end]
        return self._fitting(prompt_ids + answer, [prompt_weight] * len(prompt_ids) + [1.0] * len(answer))

    def _conversation(self, example: ConversationExample) -> list[TokenizedExample]:
        """Merge turns into one example if each turn's prompt begins with the previous one and its answer, as usual."""
        results: list[TokenizedExample] = []
        ids: list[int] = []
        weights: list[float] = []
        for at in example.trained_turns:
            prompt_ids, answer = self._split_turn(example.messages, at, example.tools)
            if ids and prompt_ids[: len(ids)] != ids:
                results.append(self._fitting(ids, weights))
                ids, weights = [], []
            weights += [0.0] * (len(prompt_ids) - len(ids)) + [1.0] * len(answer)
            ids = prompt_ids + answer
        return [*results, self._fitting(ids, weights)]

    def _pair(self, example: PreferenceExample) -> TokenizedPair:
        chosen, rejected = (
            self._tokenize_answer(example, content) for content in (example.preferred, example.rejected)
        )
        return TokenizedPair(chosen, rejected)

    def _tokenize_answer(self, example: PreferenceExample, content: str) -> TokenizedExample:
        messages = (*example.messages, text_message("assistant", content))
        prompt_ids, answer = self._split_turn(messages, len(example.messages), example.tools)
        return self._fitting(prompt_ids + answer, [0.0] * len(prompt_ids) + [1.0] * len(answer))

    def _split_turn(self, messages: Sequence[Message], at: int, tools: ToolUse | None) -> tuple[list[int], list[int]]:
        """Return the tokens before answer `at`, and those of the answer with the token that ends it."""
        prompt_ids = self._source.render_conversation(messages[:at], tools)
        if any(isinstance(part, ToolCallPart) for part in messages[at].parts):
            return prompt_ids, self._tokenize_calls(messages, at, tools, prompt_ids)
        if self._end is None:
            self._end = self._end_of_turn()
        return prompt_ids, [*self._source.tokenize_plain(messages[at].text), self._end]

    def _tokenize_calls(
        self, messages: Sequence[Message], at: int, tools: ToolUse | None, prompt_ids: list[int]
    ) -> list[int]:
        """Return the tokens of an answer with tool calls: what the template writes of it, up to the end token.

        Its results are rendered too, because some templates refuse calls without results.
        """
        end = at + 1
        while end < len(messages) and messages[end].role == "tool":
            end += 1
        answered = self._source.render_conversation(messages[:end], tools)
        if answered[: len(prompt_ids)] == prompt_ids:
            answer = answered[len(prompt_ids) :]
            for place, token in enumerate(answer):
                if token in self._source.ends:
                    return answer[: place + 1]
        raise InvalidRequest("this model's template does not write tool calls as the model does.")

    def _end_of_turn(self) -> int:
        """Return the token that the model's template writes after an answer."""
        question = text_message("user", "a")
        prompt_ids = self._source.render_conversation([question])
        answered = self._source.render_conversation([question, text_message("assistant", "b"), question])
        # If the template rewrites earlier turns, the first end token after them is the best guess.
        begin = len(prompt_ids) if answered[: len(prompt_ids)] == prompt_ids else 0
        return next((token for token in answered[begin:] if token in self._source.ends), self._source.document_end)

    def _fitting(self, ids: list[int], weights: list[float]) -> TokenizedExample:
        if len(ids) > self._max_tokens:
            raise InvalidRequest(f"it has {len(ids)} tokens; at most {self._max_tokens} are allowed.")
        return TokenizedExample(tuple(ids), tuple(weights))


def group_by_length(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Return groups of indexes to compute together: of similar length, padded to at most `max_tokens`, or one alone."""
    order = sorted(range(len(lengths)), key=lambda place: lengths[place], reverse=True)
    results: list[list[int]] = []
    for place in order:
        if results and lengths[results[-1][0]] * (len(results[-1]) + 1) <= max_tokens:
            results[-1].append(place)
        else:
            results.append([place])
    return results
