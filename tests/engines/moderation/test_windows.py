"""Splitting texts into windows, with characters or words counted as tokens."""

import itertools

import hypothesis
import hypothesis.strategies as st
import pytest

from homeport.engines.moderation import windows


def words(piece: str) -> int:
    return len(piece.split())


def cut(text: str) -> list[str]:
    return [window for window in windows.split_windows(text, words) if window is not None]


@pytest.mark.parametrize("text", ["Hello there.", "你好，世界。", " a "])
def test_a_short_text_is_one_window(text: str) -> None:
    """A text that fits stays whole, with its white space."""
    assert cut(text) == [text]


def test_windows_overlap_and_stay_small() -> None:
    """A window has at most the limit of tokens and begins with the end of the previous one."""
    found = cut(" ".join(f"w{number}" for number in range(300)))
    assert len(found) > 4
    assert all(words(window) <= windows.TOKENS for window in found)
    for one, next_one in itertools.pairwise(found):
        assert one.split()[-windows.OVERLAP :] == next_one.split()[: windows.OVERLAP]


@hypothesis.given(st.text(st.sampled_from("ab 我们，。\n"), max_size=2000))
def test_nothing_is_lost(text: str) -> None:
    """Joined without their overlaps, the windows are the text."""
    whole = ""
    for window in windows.split_windows(text, lambda piece: len(piece.strip())):
        if window is None:
            continue
        common = next(n for n in range(min(len(window), len(whole)), -1, -1) if whole.endswith(window[:n]))
        whole += window[common:]
        assert window in text
    # What overlaps may be cut at more than one place where letters repeat: lengths tell less than contents.
    assert set(whole) == set(text)
    assert text.startswith(whole[:40])
    assert text.endswith(whole[-1:])


def test_long_texts_yield_to_others() -> None:
    """While it is tokenized, a long text yields None repeatedly."""
    assert list(windows.split_windows("word " * 1000, words)).count(None) >= 20
