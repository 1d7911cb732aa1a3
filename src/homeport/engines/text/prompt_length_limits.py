"""Refuses prompts that cannot fit the context window before they are rendered and tokenized.

A prompt of up to `MIN_COUNTED` characters is always tokenized, so that its error can state its length. For longer ones
the cost depends only on the size of the window: lower bounds come first (the longest token of the vocabulary; one token
per message), then the tokens of slices are counted until there are too many.
"""

from collections.abc import Callable, Iterator, Sequence

from homeport.domain.errors import ContextOverflow
from homeport.engines.text.executor import Tokenizer

SLICE = 1 << 16
"""Characters tokenized at a time while counting: about 30 ms."""
MIN_COUNTED = 1 << 19
"""Characters up to which a prompt is always tokenized completely: 0.2 s for English, 2 s for rare characters."""
MIN_COUNTED_OFTEN = 1 << 16
"""The same for conversations of which several are tokenized to find one that fits."""
_MESSAGE_CHARACTERS = 64  # rendering one more message takes as long as this many characters of text
_DENSITY = 8  # characters per token: text with more characters per token of the window is counted first
_BYTES = 4  # of a character at most, and so its tokens
_MARGIN_DIVISOR = 8  # slice edges split tokens, so a count is certain only above the window by this fraction of it

Check = Callable[[], None]


def no_check() -> None:
    """A check that never stops the work."""


class TokenLimit:
    """Counts one prompt's tokens against `window`. `check` is called between pieces of work.

    `min_counted`: characters up to which a prompt is tokenized although it is too long.
    """

    def __init__(self, window: int, param: str, check: Check = no_check, min_counted: int = MIN_COUNTED) -> None:
        self.window = window
        self.check = check
        self.min_counted = min_counted
        self._param = param
        self._count = 0

    def spend(self, tokens: int) -> None:
        """Count tokens. Raises ContextOverflow as soon as there are certainly too many."""
        self.check()
        self._count += tokens
        if self._count > 2 * self.window + _BYTES * self.min_counted:
            raise self.overflow(f"at least {self._count}")

    def overflow(self, size: int | str) -> ContextOverflow:
        """Return the error for `size` tokens, with OpenAI's wording."""
        return ContextOverflow(
            f"This model's maximum context length is {self.window} tokens. However, your {self._param} resulted in "
            f"{size} tokens. Please reduce the length of the {self._param}.",
            param=self._param,
        )


class LengthLimits:
    """Refuses texts that have too many tokens for the window, however one model tokenizes them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        # In bytes. Every character has at least one byte, so characters divided by this are a lower bound of tokens.
        self._longest = max(map(len, tokenizer.vocabulary.pieces), default=1) or 1

    def require(self, texts: Sequence[str], limit: TokenLimit, messages: int = 0) -> None:
        """Raise ContextOverflow if the texts, in `messages` messages, are long and certainly longer than the window."""
        characters = sum(map(len, texts))
        if characters + messages * _MESSAGE_CHARACTERS <= limit.min_counted:
            return
        lower_bound = max(characters // self._longest, messages)
        if lower_bound > limit.window:
            raise limit.overflow(f"at least {lower_bound}")
        if characters <= max(limit.min_counted, _DENSITY * limit.window):
            return
        count = 0
        for text in _slices(texts):
            limit.check()
            count += len(self._tokenizer.tokenize(text, special=False))
            if count > limit.window + limit.window // _MARGIN_DIVISOR:
                raise limit.overflow(f"at least {max(lower_bound, limit.window + 1)}")


def _slices(texts: Sequence[str]) -> Iterator[str]:
    return (text[start : start + SLICE] for text in texts for start in range(0, len(text), SLICE))
