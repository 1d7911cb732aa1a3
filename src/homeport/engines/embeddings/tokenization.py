"""From inputs to token ids: adds prefixes, tokenizes, checks vocabulary and window. Knows nothing of batches."""

from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from homeport.domain.content import ImagePart
from homeport.domain.embeddings import EmbeddingInput, EmbeddingRequest
from homeport.domain.errors import ContextOverflow, InvalidRequest
from homeport.domain.text import TextPrompt
from homeport.engines import encodings
from homeport.engines.embeddings.dimensions import choose_dimensions
from homeport.engines.embeddings.families import EmbeddingFamily
from homeport.engines.llama.encoder import EmbeddingEncoder

TokenIds = NDArray[np.int32]

_PIECE = 1 << 15  # characters tokenized at a time: some tens of milliseconds
_LONG_TEXT_FACTOR = 64  # texts with more characters per token of the window are counted in pieces first


class InputTokenizer:
    """Tokenizes requests for one model. `window`: tokens of one input, with its prefix and the tokens around a text."""

    def __init__(self, encoder: EmbeddingEncoder, family: EmbeddingFamily) -> None:
        self._encoder = encoder
        self._family = family
        self._around = encoder.special_tokens()
        self.window = encoder.window

    def dimensions(self, wanted: int | None) -> int:
        """Return the number of dimensions of each vector. Raises InvalidRequest if the model does not support it."""
        return choose_dimensions(wanted, self._encoder.dimensions, self._family.min_dimensions)

    @property
    def most_tokens(self) -> int:
        """The most tokens of a document's text itself: the window without what is added to a text."""
        added = len(self._encoder.tokenize(self._family.add_prefix("a", is_query=False)))
        return self.window - added + len(self._encoder.tokenize("a", whole=False))

    def count(self, request: EmbeddingRequest) -> Iterator[TokenIds | None]:
        """Iterate over the ids of each input's text itself, in order. Raises InvalidRequest for what is no text."""
        for index, input in enumerate(request.inputs):
            param = f"input[{index}]"
            if not isinstance(input, TextPrompt):
                raise InvalidRequest("Only the tokens of texts are counted.", param=param)
            try:
                yield np.array(self._encoder.tokenize(input.text, whole=False), np.int32)
            except InvalidRequest as error:
                raise InvalidRequest(error.message, param=param) from None

    def tokenize(self, request: EmbeddingRequest) -> Iterator[TokenIds | None]:
        """Iterate over each input's ids, in order; None after a piece of work that completed none.

        Raises InvalidRequest and ContextOverflow; `param` names the invalid input.
        """
        for index, input in enumerate(request.inputs):
            param = "input" if len(request.inputs) == 1 else f"input[{index}]"
            ids = yield from self._ids(input, request, param)
            self._check_size(len(ids), param)
            yield np.array(ids, np.int32)

    def _ids(self, input: EmbeddingInput, request: EmbeddingRequest, param: str) -> Generator[None, None, list[int]]:
        if isinstance(input, ImagePart):
            raise InvalidRequest("This model embeds only text.", param=param)
        if isinstance(input, TextPrompt):
            text = input.text
        elif request.encoding is None:
            return self._check_own_ids(input.ids, param, is_query=request.is_query)
        else:
            text = decode_foreign_ids(input.ids, encodings.load(request.encoding), param)
        text = self._family.add_prefix(text, is_query=request.is_query)
        if len(text) > _LONG_TEXT_FACTOR * self.window:
            yield from self._check_length(text, param)
        try:
            return self._encoder.tokenize(text)
        except InvalidRequest as error:
            raise InvalidRequest(error.message, param=param) from None

    def _check_length(self, text: str, param: str) -> Iterator[None]:
        """Count the tokens of a text that is probably too long piece by piece, so that others are not held up."""
        before, after = self._around
        count, start = len(before) + len(after), 0
        while start < len(text):
            end = start + _PIECE
            if end < len(text):
                end = max(text.rfind(" ", start + 1, end), start) or end
                end = end if end > start else start + _PIECE
            count += len(self._encoder.tokenize(text[start:end], whole=False))
            start = end
            yield
        # Pieces may split a few tokens; if that could matter, the whole text is tokenized.
        if count > 2 * self.window:
            self._check_size(count, param)

    def _check_own_ids(self, ids: tuple[int, ...], param: str, *, is_query: bool) -> list[int]:
        """Return ids of the model's own vocabulary with prefix and the tokens around a text, which may be missing."""
        before, after = self._around
        inner = list(ids)
        if inner[: len(before)] == before and inner[len(inner) - len(after) :] == after:
            inner = inner[len(before) : len(inner) - len(after)]
        for token in inner:
            if not 0 <= token < self._encoder.vocabulary:
                raise InvalidRequest(
                    f"Token {token} is not in this model's vocabulary of {self._encoder.vocabulary} tokens.",
                    param=param,
                )
            if self._encoder.is_control(token):
                raise InvalidRequest(f"Token {token} is a control token of this model: remove it.", param=param)
        prefix = self._family.add_prefix("", is_query=is_query)
        return [*before, *(self._encoder.tokenize(prefix, whole=False) if prefix else ()), *inner, *after]

    def _check_size(self, size: int, param: str) -> None:
        if size > self.window:
            raise ContextOverflow(
                f"This model's maximum context length is {self.window} tokens, however you requested {size} tokens "
                f"({size} in '{param}'). Please reduce the length of the input.",
                param=param,
            )
        if size == 0:
            raise InvalidRequest(f"'{param}' has no text that this model can read.", param=param)


def decode_foreign_ids(ids: tuple[int, ...], encoding: encodings.Encoding, param: str) -> str:
    """Return the text of token ids of one of OpenAI's encodings. Raises InvalidRequest naming `param`."""
    try:
        return b"".join(encoding.token(id) for id in ids).decode("utf-8", "replace")
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=param) from None
