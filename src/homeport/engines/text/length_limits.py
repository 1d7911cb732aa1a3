"""Refuses prompts that cannot fit the context window before they are rendered and tokenised.

The cost depends only on the size of the window: first by lower bounds that hold for every vocabulary (the longest
token; one token per message), then by counting slices until there are too many tokens. A prompt that is only a little
too long is tokenised completely, so that its error can name its length.
"""

from collections.abc import Callable, Iterator, Sequence

from homeport.domain.errors import ContextOverflow
from homeport.engines.text.executor import Tokenizer

SLICE = 1 << 16
"""Characters tokenised at a time while counting: some 30 ms."""
LEAST = 1 << 16
"""Characters, and tokens, that are always taken whole."""
_DENSITY = 8  # characters per token: text with more of them per token of the window is counted first
_DOUBT = 8  # a slice's edges cut tokens: this part of the window more is needed to be sure

Check = Callable[[], None]


def nothing() -> None:
    """A check that never stops the work."""


class TokenLimit:
    """One prompt's tokens as they are counted, against `window`. `check` is called between pieces of work."""

    def __init__(self, window: int, param: str, check: Check = nothing) -> None:
        self.window = window
        self.check = check
        self._param = param
        self._count = 0

    def spend(self, tokens: int) -> None:
        """Count tokens. Raises ContextOverflow once there are certainly too many."""
        self.check()
        self._count += tokens
        if self._count > 2 * self.window + LEAST:
            raise self.overflow(f"at least {self._count}")

    def overflow(self, size: int | str) -> ContextOverflow:
        """The error for `size` tokens, in OpenAI's words."""
        return ContextOverflow(
            f"This model's maximum context length is {self.window} tokens. However, your {self._param} resulted in "
            f"{size} tokens. Please reduce the length of the {self._param}.",
            param=self._param,
        )


class LengthLimits:
    """How short one model's tokens can make a text."""

    def __init__(self, speech: Tokenizer) -> None:
        self._speech = speech
        # In bytes; as every character is a byte or more, characters over this are a lower bound.
        self._longest = max(map(len, speech.vocabulary.pieces), default=1) or 1

    def require(self, texts: Sequence[str], limit: TokenLimit, messages: int = 0) -> None:
        """Raises ContextOverflow if the texts, in `messages` messages, are certainly longer than the window."""
        characters = sum(map(len, texts))
        least = max(characters // self._longest, messages)
        if least > limit.window:
            raise limit.overflow(f"at least {least}")
        if characters <= max(LEAST, _DENSITY * limit.window):
            return
        count = 0
        for text in _slices(texts):
            limit.check()
            count += len(self._speech.tokenize(text, special=False))
            if count > limit.window + limit.window // _DOUBT:
                raise limit.overflow(f"at least {max(least, limit.window + 1)}")


def _slices(texts: Sequence[str]) -> Iterator[str]:
    return (text[start : start + SLICE] for text in texts for start in range(0, len(text), SLICE))
