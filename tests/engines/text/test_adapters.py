"""Adapters are loaded when first used, shared, kept for a while, and never mixed."""

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
from homeport.engines.text.adapters import MAX_IDLE_ADAPTERS, AdapterCache
from tests.engines.text.engine_runner import TextEngineRunner

ASKED = TextRequest(
    (TextPrompt("The secret word is"),), SamplingParams(temperature=0.0), StoppingCriteria(max_tokens=20)
)


class Holder:
    """Notes what is attached."""

    def __init__(self) -> None:
        self.attached: list[str] = []

    def load_adapter(self, adapter: str, file: Path) -> None:
        if file.name == "broken":
            raise Unavailable("broken")
        self.attached.append(adapter)

    def unload_adapter(self, adapter: str) -> None:
        self.attached.remove(adapter)


def one(number: int, file: str = "sound") -> Adapter:
    return Adapter(f"ft:{number}", Attachment(Path(file)), f"digest {number}")


def taught(folder: Path, name: str, **answers: str) -> Adapter:
    """A script of the fake executor's as an adapter."""
    file = folder / name
    file.write_text(json.dumps({"The secret word is": answers["says"]}))
    return Adapter(f"ft:{name}", Attachment(file), f"digest of {name}")


def test_the_latest_few_that_nobody_uses_are_kept() -> None:
    """An adapter in use stays; of the others the least recently used goes once there are more than a few."""
    holder = Holder()
    adapters = AdapterCache(holder, is_possible=True)
    assert adapters.acquire(None) == ""
    used = adapters.acquire(one(0))
    for number in range(1, MAX_IDLE_ADAPTERS + 3):
        adapters.release(adapters.acquire(one(number)))
    assert holder.attached == [used, *(f"digest {number}" for number in range(3, MAX_IDLE_ADAPTERS + 3))]
    adapters.release(used)
    assert used not in holder.attached
    assert len(holder.attached) == MAX_IDLE_ADAPTERS


def test_one_file_is_loaded_once() -> None:
    """Requests at the same time and one after another share what is loaded; it goes with none of them."""
    holder = Holder()
    adapters = AdapterCache(holder, is_possible=True)
    assert [adapters.acquire(one(1)), adapters.acquire(one(1))] == ["digest 1"] * 2
    adapters.release("digest 1")
    assert adapters.acquire(one(1)) == "digest 1"
    assert holder.attached == ["digest 1"]


def test_what_cannot_be_loaded_is_refused() -> None:
    """A broken file, and a model that takes none, end the request and leave nothing behind."""
    holder = Holder()
    with pytest.raises(Unavailable, match="broken"):
        AdapterCache(holder, is_possible=True).acquire(one(1, "broken"))
    with pytest.raises(InvalidRequest, match="no adapters"):
        AdapterCache(holder, is_possible=False).acquire(one(1))
    assert holder.attached == []


def test_model_and_tuned_ones_are_served_side_by_side(tmp_path: Path) -> None:
    """Two adapters and the plain model answer the same prompt at once, each its own, and twice the same."""
    red, blue = taught(tmp_path, "red", says=" CHERRY."), taught(tmp_path, "blue", says=" BLUEBERRY.")
    with TextEngineRunner() as running:
        asked = [msgspec.structs.replace(ASKED, adapter=adapter) for adapter in (red, None, blue)] * 2
        said = [running.end(id) for id in [running.open(request) for request in asked]]
    assert [one.text for one in said[:3]] == [one.text for one in said[3:]]
    assert (said[0].text, said[2].text) == (" CHERRY.", " BLUEBERRY.")
    assert said[1].text not in (said[0].text, said[2].text)


def test_prefixes_do_not_cross_adapters(tmp_path: Path) -> None:
    """A prompt that another adapter, or none, has computed is computed again; with its own it is found."""
    red = msgspec.structs.replace(ASKED, adapter=taught(tmp_path, "red", says=" CHERRY."))
    with TextEngineRunner() as running:
        cached = [running.ask(request).usage for request in (ASKED, red, red, ASKED)]
    assert [usage.cached_tokens for usage in cached if usage] == [0, 0, 18, 18]


def test_a_broken_adapter_fails_its_request_alone(tmp_path: Path) -> None:
    """Where an adapter does not load, its request says so and the next one is served."""
    (tmp_path / "broken").write_text("no JSON")
    broken = msgspec.structs.replace(ASKED, adapter=Adapter("ft:x", Attachment(tmp_path / "broken"), "x"))
    with TextEngineRunner() as running:
        assert (fault := running.ask(broken).fault)
        assert fault.kind == "Unavailable"
        assert running.ask(ASKED).usage
        assert running.engine.stats().running == 0


def test_an_executor_without_adapters_refuses_them(tmp_path: Path) -> None:
    """A model whose executor takes no adapters answers 400 and not as the plain model."""
    with TextEngineRunner(adapters=False) as running:
        said = running.ask(msgspec.structs.replace(ASKED, adapter=taught(tmp_path, "red", says="x")))
    assert said.fault
    assert said.fault.kind == "InvalidRequest"
