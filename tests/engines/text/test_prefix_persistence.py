"""Prefixes that outlive the process: which are kept, when they come back, and that nothing else changes by it."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.domain.text import (
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from homeport.engines.text import prefix_persistence
from homeport.engines.text.engine import TextEngine
from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.prefix_persistence import (
    MAX_COPY_S,
    MAX_DEFERRED_STEPS,
    PrefixHitCounter,
    PrefixPersistence,
)
from homeport.engines.text.prefix_store import PrefixStore
from homeport.engines.text.scheduled_request import ScheduledRequest
from tests.engines.text.engine_runner import TextEngineRunner, TextEvents
from tests.engines.text.fake_executor import FakeExecutor
from tests.engines.text.simulation import traits

SYSTEM = "You are a helpful assistant who answers in rhyme and never apologises. " * 2
LENGTH = 1 + len(SYSTEM)  # and the start token
QUESTIONS = ("Who?", "How many?", "And why?")


def _request(prompt: str, *, project: str = "one", n: int = 1, max_tokens: int = 3) -> TextRequest:
    ending = StoppingCriteria(max_tokens=max_tokens, ignore_eos=True)
    return TextRequest((TextPrompt(prompt),), SamplingParams(temperature=0.0), ending, n, n, project=project)


def _running(folder: Path, **options: str | float | bool | None) -> TextEngineRunner:
    return TextEngineRunner(None, prefixes=str(folder), **options)


def _cached(said: TextEvents) -> int:
    assert said.usage is not None
    return said.usage.cached_tokens


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix == ".prefix"]


def _learn(folder: Path, **options: str | float | bool | None) -> None:
    """Three requests behind one system prompt, in a server that then ends."""
    with _running(folder, **options) as running:
        for question in QUESTIONS:
            running.ask(_request(SYSTEM + question))


def test_a_system_prompt_survives_a_restart(tmp_path: Path) -> None:
    """Found twice, it is written; the next server's first request computes it no more, and says so."""
    _learn(tmp_path)
    assert len(_files(tmp_path)) == 1
    with _running(tmp_path) as running:
        first = running.ask(_request(SYSTEM + "Where?"))
        assert _cached(first) == LENGTH
        now = running.engine.stats()
        assert (now.disk_hits, now.disk_queries) == (LENGTH, LENGTH + len("Where?"))
        assert running.ask(_request(SYSTEM + "How?")).usage is not None
        assert running.engine.stats().disk_hits == LENGTH  # the second came from memory
    with TextEngineRunner() as plain:
        assert first.texts == plain.ask(_request(SYSTEM + "Where?")).texts
    assert len(_files(tmp_path)) == 1


def test_requests_that_arrive_together_wait_for_one_reading(tmp_path: Path) -> None:
    """Sixteen at once behind a kept prefix all begin with it, and it stands in memory once."""
    _learn(tmp_path)
    with _running(tmp_path, sequences=4) as running:
        ids = [running.open(_request(f"{SYSTEM}{index} go")) for index in range(16)]
        assert all(_cached(running.end(id)) >= LENGTH for id in ids)
        assert running.engine.stats().disk_hits <= 16 * LENGTH


@pytest.mark.parametrize(("project", "shares", "expected"), [("two", False, 0), ("two", True, LENGTH)])
def test_prefixes_stay_in_their_project(tmp_path: Path, project: str, shares: bool, expected: int) -> None:
    """Another project finds nothing on disk, unless the operator lets projects share prefixes."""
    _learn(tmp_path, share_prefixes=shares)
    with _running(tmp_path, share_prefixes=shares) as running:
        assert _cached(running.ask(_request(SYSTEM + "Where?", project=project))) == expected


@pytest.mark.parametrize("options", [{"state": ""}, {"retain": 0}, {"prefix_bytes": 0}, {"can_trim": False}])
def test_where_nothing_can_be_kept_nothing_is(tmp_path: Path, options: dict[str, str | int | bool]) -> None:
    """An executor that cannot save, one that cannot cut, or a server that keeps no prefixes works without files."""
    _learn(tmp_path, **options)
    with _running(tmp_path, **options) as running:
        assert _cached(running.ask(_request(SYSTEM + "Where?"))) == 0
    assert _files(tmp_path) == []


def test_a_broken_file_costs_a_computation_only(tmp_path: Path) -> None:
    """What cannot be restored is computed again, and the file is gone."""
    _learn(tmp_path)
    for file in _files(tmp_path):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    with _running(tmp_path) as running:
        assert _cached(running.ask(_request(SYSTEM + "Where?"))) == 0
    assert _files(tmp_path) == []


def test_who_leaves_while_the_disk_is_read_leaves_nothing(tmp_path: Path) -> None:
    """Cancelled before its prefix came, a request is never computed; others that wait for the same one are."""
    _learn(tmp_path)
    with _running(tmp_path) as running:
        gone = running.open(_request(SYSTEM + "Where?", max_tokens=1000))
        running.engine.cancel(gone)
        assert _cached(running.ask(_request(SYSTEM + "Who?"))) >= LENGTH
        now = running.engine.stats()
        assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)


def test_regulars_are_found_among_ragged_prefixes() -> None:
    """Prompts that happen to agree a little further count for the prefix they have in common."""
    regulars = PrefixHitCounter()
    system = list(range(80))
    assert regulars.record_hit("p", [*system, 1, 2]) == 0
    assert regulars.record_hit("q", system) == 0
    assert regulars.record_hit("p", system) == 80
    assert regulars.record_hit("p", [*system, 3]) == 80
    assert regulars.record_hit("p", [*system, 3]) == 81


def test_what_is_watched_is_bounded() -> None:
    """A thousand prefixes found once each are forgotten again, the oldest first."""
    regulars = PrefixHitCounter()
    for index in range(1000):
        assert regulars.record_hit("p", [index, *range(80)]) == 0
    assert regulars.record_hit("p", [0, *range(80)]) == 0
    assert regulars.record_hit("p", [999, *range(80)]) == 81


def test_a_chat_that_grows_is_not_written_each_turn(tmp_path: Path) -> None:
    """Turn after turn of one conversation: files grow by a quarter at least, so that all of them are a few times it."""
    with _running(tmp_path, window=2048) as running:
        said = SYSTEM
        for turn in range(40):
            running.ask(_request(said))
            said += f" And then, {turn}?"
    lengths = sorted(file.stat().st_size for file in _files(tmp_path))
    assert 1 <= len(lengths) <= 7
    assert sum(lengths) < 8 * lengths[-1]


def test_a_busy_engine_is_held_up_rarely_and_shortly(tmp_path: Path) -> None:
    """While others decode, a copy waits for its turn and for one that is short; at rest it is made at once."""
    executor = FakeExecutor(traits(window=4096, cells=8192, batch=4096, state="tokens"))
    cache, shelf = KVCache(executor), PrefixStore(tmp_path, "m", 1_000_000)
    keeper = PrefixPersistence(cache, executor, shelf, most=4096, tell=lambda *_: None)
    for length, may_interrupt in ((100, True), (int(MAX_COPY_S / 50e-6) + 100, False)):
        tokens = [length % 7] * length
        slot = cache.allocate("p", None)
        assert slot is not None
        for position, token in enumerate(tokens):
            executor._append(slot, token, position, "")
        cache.extend(slot, tokens)
        cache.retire(slot)
        one = ScheduledRequest(0, "p", "p", 1).add_candidate(0, [*tokens, 9])
        one.computed = length
        keeper.on_prefix_hit(one)
        keeper.on_prefix_hit(one)
        assert [keeper.copy_one(rests=False) for _ in range(MAX_DEFERRED_STEPS - 1)] == [False] * (
            MAX_DEFERRED_STEPS - 1
        )
        assert keeper.copy_one(rests=False) is may_interrupt
        assert keeper.copy_one(rests=True) is not may_interrupt
        keeper._each = 50e-6
    cache.check_integrity()
    assert cache.running_cells == 0


class _Restarting:
    """One engine after another on the same folder."""

    def __init__(self, folder: Path, options: dict[str, str | int | bool]) -> None:
        self.folder, self.options = folder, options

    def run(self, requests: list[TextRequest], leaving: set[int]) -> tuple[dict[int, TextEvents], FakeExecutor]:
        """What each request that stays is told, and the executor as it was left."""
        running = _running(self.folder, **self.options)
        engine = running.engine
        assert isinstance(engine, TextEngine)
        executor = engine._executor
        assert isinstance(executor, FakeExecutor)
        with running:
            ids = [running.open(request) for request in requests]
            for index in leaving:
                engine.cancel(ids[index])
            said = {index: running.end(id) for index, id in enumerate(ids) if index not in leaving}
            running.ask(_request("probe", max_tokens=1))
            now = engine.stats()
            assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)
            engine._scheduler.check_integrity()
            assert executor.cells_used == engine._cache.cells
        assert running.failure is None
        return said, executor


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1_000_000),
    st.sampled_from((200, 300, 2000)),
    st.sampled_from(("streams", "unified")),
    st.sampled_from((1, 3, 8)),
    st.sampled_from((1, MAX_DEFERRED_STEPS)),
)
def test_restarts_change_no_text(seed: int, cells: int, kv: str, sequences: int, patience: int) -> None:
    """Random arrivals, aborts and restarts in tight memory: every text is the one it is alone, no cell is lost."""
    rng = random.Random(seed)
    trunks = ["Once upon a time there was " * 4, "In the beginning, people told stories. " * 3]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(prefix_persistence, "MAX_DEFERRED_STEPS", patience)  # 1: copied beside running requests, too
        server = _Restarting(Path(folder), {"window": 190, "cells": cells, "kv": kv, "sequences": sequences})
        for _ in range(3):
            requests = [
                _request(
                    rng.choice(trunks)[: rng.choice((40, 90, 110))] + str(rng.randrange(9)),
                    project=rng.choice("ab"),
                    n=rng.choice((1, 1, 2)),
                    max_tokens=rng.choice((1, 4, 9)),
                )
                for _ in range(rng.randrange(1, 12))
            ]
            leaving = {index for index in range(len(requests)) if rng.random() < 0.2}
            said, _ = server.run(requests, leaving)
            with TextEngineRunner(window=190, cells=4000, retain=0, sequences=1) as alone:
                for index, one in said.items():
                    assert one.fault is None
                    assert one.texts == alone.ask(requests[index]).texts
