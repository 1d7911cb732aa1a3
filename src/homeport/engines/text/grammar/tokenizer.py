"""Builds llguidance's view of a model's tokens. Knows nothing of grammars.

Control tokens are special tokens for llguidance: text never matches them, a grammar refers to them by id, `<[151644]>`.
All other tokens, also user-defined ones such as `<tool_call>`, are their bytes. Source: llguidance's docs/syntax.md.
"""

import threading
from collections.abc import Callable

from llguidance import LLTokenizer, TokenizerWrapper

from homeport.engines.text.executor import NativeTokenizer, Tokenizer

_SPECIAL = b"\xff"  # no token's text begins with this byte, which is not part of UTF-8


class GrammarTokenizer:
    """The tokens of one model, built when they are first used: this takes up to a second and 100 MB."""

    def __init__(self, tokenizer: NativeTokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.Lock()
        self._built: LLTokenizer | None = None

    @property
    def size(self) -> int:
        """The number of tokens."""
        return self._tokenizer.vocabulary.size

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end any answer."""
        return self._tokenizer.vocabulary.end_tokens

    def get(self) -> LLTokenizer:
        """Return llguidance's tokenizer, from any thread."""
        with self._lock:
            if self._built is None:
                self._built = _build(self._tokenizer)
            return self._built


def _build(tokenizer: NativeTokenizer) -> LLTokenizer:
    vocabulary, pointers = tokenizer.vocabulary, tokenizer.tokenizer_pointers
    tokens = list(vocabulary.pieces)
    for token in {*vocabulary.special, *vocabulary.end_tokens}:
        tokens[token] = _SPECIAL + (vocabulary.special.get(token, "").encode() or tokens[token])
    ends = sorted(vocabulary.end_tokens)
    if pointers is None:
        return LLTokenizer(TokenizerWrapper(_PythonTokenizer(tokenizer, tokens, ends[0])), eos_token=ends)
    build: Callable[..., LLTokenizer] = LLTokenizer.from_llamacpp  # type: ignore[attr-defined]  # not in its stubs
    addresses = {"vocab_ptr": pointers.vocabulary, "tokenize_fptr": pointers.tokenize}
    # In two parts, because each holds the GIL: other threads run in between.
    plain = build(tokens=tokens, **addresses, eos_token=ends, slices=[])
    return plain.with_slices(LLTokenizer.general_slices())


class _PythonTokenizer:
    """A tokenizer without native code, with the attributes that llguidance reads."""

    def __init__(self, tokenizer: Tokenizer, tokens: list[bytes], end: int) -> None:
        self.eos_token_id, self.bos_token_id = end, None
        self.tokens = tokens
        self.special_token_ids = [token for token, data in enumerate(tokens) if data.startswith(_SPECIAL)]
        self._tokenizer = tokenizer

    def __call__(self, text: bytes) -> list[int]:
        """Return the ids of a text in UTF-8."""
        return self._tokenizer.tokenize(text.decode(), special=False)
