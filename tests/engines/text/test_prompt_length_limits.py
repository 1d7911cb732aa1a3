"""A prompt that cannot fit is refused at a bounded cost: up to half a million characters, by its number of tokens."""

import msgspec
import pytest

from homeport.domain.errors import ContextOverflow
from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.prompt_length_limits import (
    MIN_COUNTED,
    MIN_COUNTED_OFTEN,
    SLICE,
    LengthLimits,
    TokenLimit,
)
from tests.engines.text.fake_executor import FakeExecutor

WINDOW = 32768


class Counting(FakeExecutor):
    """Counts the characters it tokenized; its tokens are whole words of any length."""

    read = 0

    @property
    def vocabulary(self) -> Vocabulary:
        return msgspec.structs.replace(super().vocabulary, pieces=(b"x" * 1000,))

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        self.read += len(text)
        return [1] * len(text.split()) if not special else super().tokenize(text, special=special)


def test_the_longest_token_bounds_a_text(coder: LlamaExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with more characters than a window of the longest tokens is refused untokenized, with OpenAI's error."""
    lengths = LengthLimits(coder)
    longest = max(map(len, coder.vocabulary.pieces))
    monkeypatch.delattr(LlamaExecutor, "tokenize")
    with pytest.raises(
        ContextOverflow, match=r"maximum context length is 32768 .* messages resulted in at least 32769"
    ):
        lengths.require(["x" * (longest * (WINDOW + 1))], TokenLimit(WINDOW, "messages"))


def test_a_text_that_is_counted_anyway_passes(fake: FakeExecutor) -> None:
    """A text that is too long passes if it is short enough for a complete count, which its error then states."""
    lengths = LengthLimits(Counting(fake.traits))
    lengths.require(["x" * MIN_COUNTED], TokenLimit(8, "prompt"))
    lengths.require([""] * 9, TokenLimit(8, "prompt"), messages=9)
    with pytest.raises(ContextOverflow, match="at least 131 tokens"):
        lengths.require(["x" * MIN_COUNTED_OFTEN] * 2, TokenLimit(64, "prompt", min_counted=MIN_COUNTED_OFTEN))


def test_a_message_is_a_token_at_least(fake: FakeExecutor) -> None:
    """More messages than the window has tokens are refused untokenized."""
    with pytest.raises(ContextOverflow, match="at least 100000 tokens") as caught:
        LengthLimits(fake).require([""] * 100_000, TokenLimit(WINDOW, "messages"), messages=100_000)
    assert (caught.value.param, caught.value.code) == ("messages", "context_length_exceeded")


@pytest.mark.parametrize("text", ["word " * 1_000_000, "word 你好 " * 400_000, "x1 " * 1_000_000])
def test_long_texts_are_counted_until_they_are_too_long(coder: LlamaExecutor, text: str) -> None:
    """Of a text of several MB only the part that fills the window is tokenized, and the text is refused."""
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1

    with pytest.raises(ContextOverflow, match=r"at least \d+ tokens"):
        LengthLimits(coder).require([text], TokenLimit(WINDOW, "prompt", check))
    assert checks * SLICE < len(text) / 4


def test_what_may_fit_passes(fake: FakeExecutor, coder: LlamaExecutor) -> None:
    """A long text of few tokens passes, and so does a short one, untokenized, even if it is too long."""
    LengthLimits(coder).require([" " * (120 * 4096)], TokenLimit(4096, "prompt"))
    counting = Counting(fake.traits)
    LengthLimits(counting).require(["x" * MIN_COUNTED], TokenLimit(MIN_COUNTED, "prompt"))
    assert counting.read == 0


def test_a_check_can_end_the_counting(fake: FakeExecutor) -> None:
    """The check is called before each slice, and its exception ends the counting."""
    counting = Counting(fake.traits)

    def check() -> None:
        if counting.read >= 3 * SLICE:
            raise KeyError

    with pytest.raises(KeyError):
        LengthLimits(counting).require([" " * (20 * SLICE)], TokenLimit(SLICE, "prompt", check))
    assert counting.read == 3 * SLICE


def test_a_limit_is_raised_above_what_is_counted_anyway() -> None:
    """Tokens are counted up to those of the longest text that is always counted; then the limit is raised."""
    limit = TokenLimit(10, "messages")
    limit.spend(20 + 4 * MIN_COUNTED)
    with pytest.raises(ContextOverflow, match=f"at least {21 + 4 * MIN_COUNTED} tokens"):
        limit.spend(1)
