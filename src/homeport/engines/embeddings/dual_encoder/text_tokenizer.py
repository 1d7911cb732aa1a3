"""From texts to token ids with a model's `tokenizer.json`, cleaned as its configuration says. Knows no network."""

import string
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from homeport.domain.errors import InvalidRequest, Unavailable

Clean = Callable[[str], str]

_LONG_TEXT_FACTOR = 64
"""Characters per token of the window beyond which a text is tokenized only up to there: it is too long in any case."""

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextTokenizer:
    """Tokenizes for one model. `window`: tokens of one text, with those around it; `pad_id`: fills shorter ones.

    Raises Unavailable if the file is not a tokenizer, or lacks the token named `pad_token`.
    """

    def __init__(self, file: Path, *, window: int, pad_token: str, clean: Clean) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises plain exceptions
            raise Unavailable(f"{file.name} is not a tokenizer: {str(error)[:200]}.") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # Otherwise a text with the name of a special token would contain that token.
        self._tokenizer.encode_special_tokens = True
        pad_id = self._tokenizer.token_to_id(pad_token)
        if pad_id is None:
            raise Unavailable(f"{file.name} lacks the padding token {pad_token[:40]!r} that its configuration names.")
        self.window = window
        self.pad_id: int = pad_id
        self._clean = clean
        self._special = {id for id, token in self._tokenizer.get_added_tokens_decoder().items() if token.special}
        self._before, self._after = self._around()

    def tokenize(self, text: str) -> list[int]:
        """Return the ids of a text, with the tokens around it; of a much too long one, more ids than the window."""
        text = self._clean(text)
        limit = _LONG_TEXT_FACTOR * self.window
        if len(text) > limit:
            ids = self._encode(text[:limit])
            if len(ids) > self.window:
                return ids
        return self._encode(text)

    def complete(self, ids: Sequence[int]) -> list[int]:
        """Return ids of this vocabulary with the tokens around a text, which may be missing.

        Raises InvalidRequest for an id that is unknown or special.
        """
        before, after, inner = self._before, self._after, list(ids)
        if inner[: len(before)] == before and inner[len(inner) - len(after) :] == after:
            inner = inner[len(before) : len(inner) - len(after)]
        size = self._tokenizer.get_vocab_size()
        for token in inner:
            if not 0 <= token < size:
                raise InvalidRequest(f"Token {token} is not in this model's vocabulary of {size} tokens.")
            if token in self._special:
                raise InvalidRequest(f"Token {token} is a control token of this model: remove it.")
        return [*before, *inner, *after]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def _around(self) -> tuple[list[int], list[int]]:
        """Return the ids that are added before and after each text."""
        whole, inner = self._encode("a"), self._tokenizer.encode("a", add_special_tokens=False).ids
        start = next((at for at in range(len(whole)) if whole[at : at + len(inner)] == inner), 0)
        return whole[:start], whole[start + len(inner) :]


def collapse_space(text: str) -> str:
    """Replace each run of white space by one space: open_clip's cleaning for most models."""
    return " ".join(text.split())


def canonicalize(text: str) -> str:
    """Remove punctuation and upper case: open_clip's cleaning for SigLIP."""
    return collapse_space(text.replace("_", " ").translate(_NO_PUNCTUATION).lower())


def choose_cleaning(text_config: Mapping[str, Any]) -> Clean:
    """Return the cleaning that open_clip's `text_cfg` names. Raises Unavailable for an unknown one."""
    name = (text_config.get("tokenizer_kwargs") or {}).get("clean", "whitespace")
    known: dict[str, Clean] = {
        "canonicalize": canonicalize,
        "whitespace": collapse_space,
        "lower": lambda text: collapse_space(text).lower(),
    }
    if name not in known:
        raise Unavailable(f"The model's texts have an unsupported cleaning: {str(name)[:100]}.")
    return known[name]
