"""Compiled grammars are kept within bounds."""

import threading

import pytest

from homeport.engines.text.grammar import cache
from homeport.engines.text.grammar.cache import CompiledCache


def test_the_least_recently_used_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the number allowed, what was used longest ago is compiled again."""
    monkeypatch.setattr(cache, "MAX_GRAMMARS", 2)
    kept, compiled = CompiledCache(), list[str]()

    def compile(source: str) -> str:
        compiled.append(source)
        return source.upper()

    assert [kept.get(source, compile) for source in "abacab"] == list("ABACAB")
    assert compiled == ["a", "b", "c", "b"]


def test_large_ones_take_the_room_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the estimated size allowed, the others are dropped, but never the one just compiled."""
    monkeypatch.setattr(cache, "MAX_BYTES", 1_000_000)
    kept, compiled = CompiledCache(), list[str]()

    def compile(source: str) -> str:
        compiled.append(source[:1])
        return source[:1]

    for source in ("a", "b", "c" * 100_000, "c" * 100_000, "a"):
        kept.get(source, compile)
    assert compiled == ["a", "b", "c", "a"]


def test_a_second_thread_waits_for_the_first() -> None:
    """Two threads that need the same grammar at once compile it once."""
    kept, began, release = CompiledCache(), threading.Event(), threading.Event()

    def slow(_: str) -> str:
        began.set()
        assert release.wait(10)
        return "done"

    def refuse(_: str) -> str:
        raise AssertionError("compiled twice")

    results: list[object] = []
    first = threading.Thread(target=lambda: results.append(kept.get("a", slow)))
    first.start()
    assert began.wait(10)
    second = threading.Thread(target=lambda: results.append(kept.get("a", refuse)))
    second.start()
    release.set()
    first.join()
    second.join()
    assert results == ["done", "done"]


def test_a_failure_is_not_kept() -> None:
    """If compiling raises, the next request tries again."""
    kept = CompiledCache()

    def fail(_: str) -> str:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept.get("a", fail)
    assert kept.get("a", str.upper) == "A"
