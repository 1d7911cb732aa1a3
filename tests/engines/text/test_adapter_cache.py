"""Adapters are loaded on first use, shared, kept for a while, and never mixed."""

import json
from pathlib import Path

import msgspec
import pytest

from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.models import Adapter
from homeport.domain.text import (
    SamplingParams,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
)
from homeport.engines.text.adapter_cache import MAX_IDLE_ADAPTERS, AdapterCache
from tests.engines.text.engine_runner import TextEngineRunner

REQUEST = TextRequest(
    (TextPrompt("The secret word is"),), SamplingParams(temperature=0.0), StoppingCriteria(max_tokens=20)
)


class AdapterRecorder:
    """Records the loaded adapters."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load_adapter(self, adapter: str, file: Path) -> None:
        if file.name == "broken":
            raise Unavailable("broken")
        self.loaded.append(adapter)

    def unload_adapter(self, adapter: str) -> None:
        self.loaded.remove(adapter)


def one(number: int, file: str = "sound") -> Adapter:
    return Adapter(f"ft:{number}", Attachment(Path(file)), f"digest {number}")


def scripted(folder: Path, name: str, **answers: str) -> Adapter:
    """Return an adapter whose file is a script of the fake executor."""
    file = folder / name
    file.write_text(json.dumps({"The secret word is": answers["says"]}))
    return Adapter(f"ft:{name}", Attachment(file), f"digest of {name}")


def test_the_most_recent_idle_adapters_are_kept() -> None:
    """An adapter in use stays; beyond a few idle ones, the least recently used is unloaded."""
    recorder = AdapterRecorder()
    adapters = AdapterCache(recorder, is_possible=True)
    assert adapters.acquire(None) == ""
    used = adapters.acquire(one(0))
    for number in range(1, MAX_IDLE_ADAPTERS + 3):
        adapters.release(adapters.acquire(one(number)))
    assert recorder.loaded == [used, *(f"digest {number}" for number in range(3, MAX_IDLE_ADAPTERS + 3))]
    adapters.release(used)
    assert used not in recorder.loaded
    assert len(recorder.loaded) == MAX_IDLE_ADAPTERS


def test_one_file_is_loaded_once() -> None:
    """Concurrent and consecutive requests share a loaded adapter; it stays when they end."""
    recorder = AdapterRecorder()
    adapters = AdapterCache(recorder, is_possible=True)
    assert [adapters.acquire(one(1)), adapters.acquire(one(1))] == ["digest 1"] * 2
    adapters.release("digest 1")
    assert adapters.acquire(one(1)) == "digest 1"
    assert recorder.loaded == ["digest 1"]


def test_adapters_that_cannot_be_loaded_are_refused() -> None:
    """A broken file, and a model without adapter support, end the request and leave nothing loaded."""
    recorder = AdapterRecorder()
    with pytest.raises(Unavailable, match="broken"):
        AdapterCache(recorder, is_possible=True).acquire(one(1, "broken"))
    with pytest.raises(InvalidRequest, match="does not support adapters"):
        AdapterCache(recorder, is_possible=False).acquire(one(1))
    assert recorder.loaded == []


def test_base_model_and_adapters_are_served_together(tmp_path: Path) -> None:
    """Two adapters and the base model answer the same prompt concurrently: each differently, twice the same."""
    red, blue = scripted(tmp_path, "red", says=" CHERRY."), scripted(tmp_path, "blue", says=" BLUEBERRY.")
    with TextEngineRunner() as running:
        requests = [msgspec.structs.replace(REQUEST, adapter=adapter) for adapter in (red, None, blue)] * 2
        results = [running.end(id) for id in [running.open(request) for request in requests]]
    assert [one.text for one in results[:3]] == [one.text for one in results[3:]]
    assert (results[0].text, results[2].text) == (" CHERRY.", " BLUEBERRY.")
    assert results[1].text not in (results[0].text, results[2].text)


def test_prefixes_do_not_cross_adapters(tmp_path: Path) -> None:
    """A prompt computed with another adapter, or without one, is computed again; with the same adapter it is cached."""
    red = msgspec.structs.replace(REQUEST, adapter=scripted(tmp_path, "red", says=" CHERRY."))
    with TextEngineRunner() as running:
        cached = [running.ask(request).usage for request in (REQUEST, red, red, REQUEST)]
    assert [usage.cached_tokens for usage in cached if usage] == [0, 0, 18, 18]


def test_a_broken_adapter_fails_its_request_alone(tmp_path: Path) -> None:
    """An adapter that does not load fails its request only; other requests continue."""
    (tmp_path / "broken").write_text("no JSON")
    broken = msgspec.structs.replace(REQUEST, adapter=Adapter("ft:x", Attachment(tmp_path / "broken"), "x"))
    with TextEngineRunner() as running:
        assert (fault := running.ask(broken).error)
        assert fault.kind == "Unavailable"
        assert running.ask(REQUEST).usage
        assert running.engine.stats().running == 0


def test_an_executor_without_adapters_refuses_them(tmp_path: Path) -> None:
    """A model whose executor does not support adapters returns 400 instead of answering as the base model."""
    with TextEngineRunner(adapters=False) as running:
        results = running.ask(msgspec.structs.replace(REQUEST, adapter=scripted(tmp_path, "red", says="x")))
    assert results.error
    assert results.error.kind == "InvalidRequest"
