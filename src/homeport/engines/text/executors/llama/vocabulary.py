"""Reads a model's vocabulary: the bytes of every token, its start, end and fill-in-the-middle tokens.

Knows nothing of contexts. Source: include/llama.h (vocabulary functions).
"""

from typing import Any

from homeport.engines.llama.c_api import CONTROL
from homeport.engines.llama.library import LlamaLibrary
from homeport.engines.text.executor import InfillTokens, Vocabulary

# The API does not specify which end token ends a document (rather than a turn of a chat); models use these names.
_DOCUMENT_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "<|end▁of▁sentence|>", "<EOS_TOKEN>")


def read(library: LlamaLibrary, model: object) -> Vocabulary:
    """Read the vocabulary of a loaded model."""
    api = library.api
    vocab = api.llama_model_get_vocab(model)
    size: int = api.llama_vocab_n_tokens(vocab)
    attributes = [api.llama_vocab_get_attr(vocab, token) for token in range(size)]
    special = {
        token: library.text(api.llama_vocab_get_text(vocab, token))
        for token, bits in enumerate(attributes)
        if bits & CONTROL
    }
    ends = frozenset(token for token in range(size) if api.llama_vocab_is_eog(vocab, token))
    start = _none_if_missing(api.llama_vocab_bos(vocab)) if api.llama_vocab_get_add_bos(vocab) else None
    return Vocabulary(
        size=size,
        pieces=_pieces(library, vocab, size),
        end_tokens=ends,
        start_token=start,
        document_token=start if start is not None else _end_of_text(api, vocab, ends, special),
        infill=_infill(api, vocab, ends),
        special=special,
    )


def _pieces(library: LlamaLibrary, vocab: object, size: int) -> tuple[bytes, ...]:
    """Return every token's bytes. With `special` off, control tokens are empty, user-defined and byte tokens not."""
    ffi = library.ffi
    to_piece = library.api.llama_token_to_piece
    room = 256
    text = ffi.new("char[]", room)
    window = ffi.buffer(text)
    pieces = []
    for token in range(size):
        length = to_piece(vocab, token, text, room, 0, False)
        if length < 0:  # the negated size that it needs
            longer = ffi.new("char[]", -length)
            length = to_piece(vocab, token, longer, -length, 0, False)
            pieces.append(bytes(ffi.buffer(longer, length)))
        else:
            pieces.append(window[:length])
    return tuple(pieces)


def _none_if_missing(token: int) -> int | None:
    return token if token >= 0 else None


def _end_of_text(api: Any, vocab: object, ends: frozenset[int], special: dict[int, str]) -> int:
    for name in _DOCUMENT_ENDS:
        for token in ends:
            if special.get(token) == name:
                return token
    for candidate in (api.llama_vocab_eos(vocab), api.llama_vocab_bos(vocab), *sorted(ends)):
        if candidate >= 0:
            return int(candidate)
    return 0  # a vocabulary with neither start nor end: any token will do


def _infill(api: Any, vocab: object, ends: frozenset[int]) -> InfillTokens | None:
    prefix, suffix, middle = (getattr(api, f"llama_vocab_fim_{part}")(vocab) for part in ("pre", "suf", "mid"))
    if min(prefix, suffix, middle) < 0:
        return None
    # Tokens that separate files in training end the middle just as the end of text does.
    separators = (getattr(api, f"llama_vocab_fim_{part}")(vocab) for part in ("pad", "rep", "sep"))
    all_ends = ends | {token for token in separators if token >= 0}
    return InfillTokens(prefix=prefix, suffix=suffix, middle=middle, end_tokens=tuple(sorted(all_ends)))
