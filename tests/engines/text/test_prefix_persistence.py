"""Prefixes stored on disk: which are stored, when they are loaded, and that answers do not change."""

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
from homeport.engines.text.prefix_disk_store import PrefixDiskStore
from homeport.engines.text.prefix_persistence import (
    MAX_COPY_S,
    MAX_DEFERRED_STEPS,
    PrefixHitCounter,
    PrefixPersistence,
)
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


def _cached(results: TextEvents) -> int:
    assert results.usage is not None
    return results.usage.cached_tokens


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix == ".prefix"]


def _store_prefix(folder: Path, **options: str | float | bool | None) -> None:
    """Run three requests with the same system prompt in an engine that then ends."""
    with _running(folder, **options) as running:
        for question in QUESTIONS:
            running.ask(_request(SYSTEM + question))


def test_a_system_prompt_survives_a_restart(tmp_path: Path) -> None:
    """A prefix found twice is stored; the next engine's first request does not compute it, and reports that."""
    _store_prefix(tmp_path)
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


def test_concurrent_requests_wait_for_one_read(tmp_path: Path) -> None:
    """Sixteen concurrent requests with a stored prefix all use it, and it is in memory once."""
    _store_prefix(tmp_path)
    with _running(tmp_path, sequences=4) as running:
        ids = [running.open(_request(f"{SYSTEM}{index} go")) for index in range(16)]
        assert all(_cached(running.end(id)) >= LENGTH for id in ids)
        assert running.engine.stats().disk_hits <= 16 * LENGTH


@pytest.mark.parametrize(("project", "shares", "expected"), [("two", False, 0), ("two", True, LENGTH)])
def test_prefixes_stay_in_their_project(tmp_path: Path, project: str, shares: bool, expected: int) -> None:
    """Another project finds nothing on disk, unless projects share prefixes."""
    _store_prefix(tmp_path, share_prefixes=shares)
    with _running(tmp_path, share_prefixes=shares) as running:
        assert _cached(running.ask(_request(SYSTEM + "Where?", project=project))) == expected


@pytest.mark.parametrize("options", [{"kv_format": ""}, {"retain": 0}, {"prefix_bytes": 0}, {"can_trim": False}])
def test_nothing_is_stored_if_it_is_not_possible(tmp_path: Path, options: dict[str, str | int | bool]) -> None:
    """An executor that cannot save or trim, or an engine that retains no prefixes, works without files."""
    _store_prefix(tmp_path, **options)
    with _running(tmp_path, **options) as running:
        assert _cached(running.ask(_request(SYSTEM + "Where?"))) == 0
    assert _files(tmp_path) == []


def test_a_damaged_file_is_computed_again(tmp_path: Path) -> None:
    """A prefix that cannot be restored is computed again, and its file is deleted."""
    _store_prefix(tmp_path)
    for file in _files(tmp_path):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    with _running(tmp_path) as running:
        assert _cached(running.ask(_request(SYSTEM + "Where?"))) == 0
    assert _files(tmp_path) == []


def test_a_request_canceled_while_it_waits_for_the_disk_leaves_nothing(tmp_path: Path) -> None:
    """A request canceled before its prefix is loaded is never computed; others that wait for the same one are."""
    _store_prefix(tmp_path)
    with _running(tmp_path) as running:
        canceled = running.open(_request(SYSTEM + "Where?", max_tokens=1000))
        running.engine.cancel(canceled)
        assert _cached(running.ask(_request(SYSTEM + "Who?"))) >= LENGTH
        now = running.engine.stats()
        assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)


def test_hits_count_for_common_prefixes() -> None:
    """Prompts that share some more tokens by chance count for the prefix that all have in common."""
    counter = PrefixHitCounter()
    system = list(range(80))
    assert counter.record_hit("p", [*system, 1, 2]) == 0
    assert counter.record_hit("q", system) == 0
    assert counter.record_hit("p", system) == 80
    assert counter.record_hit("p", [*system, 3]) == 80
    assert counter.record_hit("p", [*system, 3]) == 81


def test_the_number_of_counted_prefixes_is_bounded() -> None:
    """Of a thousand prefixes with one hit each, the oldest are forgotten."""
    counter = PrefixHitCounter()
    for index in range(1000):
        assert counter.record_hit("p", [index, *range(80)]) == 0
    assert counter.record_hit("p", [0, *range(80)]) == 0
    assert counter.record_hit("p", [999, *range(80)]) == 81


def test_a_growing_conversation_is_not_written_each_turn(tmp_path: Path) -> None:
    """Over the turns of a conversation, each stored prefix is at least a quarter longer than the last."""
    with _running(tmp_path, window=2048) as running:
        conversation = SYSTEM
        for turn in range(40):
            running.ask(_request(conversation))
            conversation += f" And then, {turn}?"
    lengths = sorted(file.stat().st_size for file in _files(tmp_path))
    assert 1 <= len(lengths) <= 7
    assert sum(lengths) < 8 * lengths[-1]


def test_copies_delay_a_busy_engine_rarely_and_briefly(tmp_path: Path) -> None:
    """While others decode, a copy waits for its turn and must be short; when the engine is idle, it is made at once."""
    executor = FakeExecutor(traits(window=4096, cells=8192, batch=4096, kv_format="tokens"))
    cache, store = KVCache(executor), PrefixDiskStore(tmp_path, "m", 1_000_000)
    persistence = PrefixPersistence(cache, executor, store, max_tokens=4096, on_loaded=lambda *_: None)
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
        persistence.on_prefix_hit(one)
        persistence.on_prefix_hit(one)
        assert [persistence.copy_one(is_idle=False) for _ in range(MAX_DEFERRED_STEPS - 1)] == [False] * (
            MAX_DEFERRED_STEPS - 1
        )
        assert persistence.copy_one(is_idle=False) is may_interrupt
        assert persistence.copy_one(is_idle=True) is not may_interrupt
        persistence._seconds_per_token = 50e-6
    cache.check_integrity()
    assert cache.running_cells == 0


class _RestartedEngine:
    """Runs one engine after another on the same folder."""

    def __init__(self, folder: Path, options: dict[str, str | int | bool]) -> None:
        self.folder, self.options = folder, options

    def run(self, requests: list[TextRequest], canceled: set[int]) -> tuple[dict[int, TextEvents], FakeExecutor]:
        """Return the results of the requests that are not canceled, and the executor."""
        running = _running(self.folder, **self.options)
        engine = running.engine
        assert isinstance(engine, TextEngine)
        executor = engine._executor
        assert isinstance(executor, FakeExecutor)
        with running:
            ids = [running.open(request) for request in requests]
            for index in canceled:
                engine.cancel(ids[index])
            results = {index: running.end(id) for index, id in enumerate(ids) if index not in canceled}
            running.ask(_request("probe", max_tokens=1))
            now = engine.stats()
            assert (now.running, now.waiting, now.cells_used) == (0, 0, 0)
            engine._scheduler.check_integrity()
            assert executor.cells_used == engine._cache.cells
        assert running.failure is None
        return results, executor


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 1_000_000),
    st.sampled_from((200, 300, 2000)),
    st.sampled_from(("streams", "unified")),
    st.sampled_from((1, 3, 8)),
    st.sampled_from((1, MAX_DEFERRED_STEPS)),
)
def test_restarts_change_no_text(seed: int, cells: int, kv: str, sequences: int, deferred_steps: int) -> None:
    """With random arrivals, cancellations and restarts in tight memory, texts equal those alone and no cell is lost."""
    rng = random.Random(seed)
    trunks = ["Once upon a time there was " * 4, "In the beginning, people told stories. " * 3]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(prefix_persistence, "MAX_DEFERRED_STEPS", deferred_steps)  # 1: also copied while requests run
        server = _RestartedEngine(Path(folder), {"window": 190, "cells": cells, "kv": kv, "sequences": sequences})
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
            canceled = {index for index in range(len(requests)) if rng.random() < 0.2}
            results, _ = server.run(requests, canceled)
            with TextEngineRunner(window=190, cells=4000, retain=0, sequences=1) as alone:
                for index, one in results.items():
                    assert one.error is None
                    assert one.texts == alone.ask(requests[index]).texts
