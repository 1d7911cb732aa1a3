"""The engine as a worker runs it: loaded from a spec, with its facts, until it is closed."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from homeport.domain.content import attach
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import Unavailable
from homeport.domain.events import Admitted, Done, EmbeddingVectors, Event
from homeport.domain.text import TextPrompt
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.embeddings.dual_encoder.engine import load
from tests.samples import tiny_towers as tiny


@pytest.mark.parametrize("layout", tiny.LAYOUTS)
def test_a_loaded_model_answers(tmp_path: Path, layout: str) -> None:
    """It states its window and its library, computes a request, and frees its towers at the end."""
    files = attach(tiny.LAYOUTS[layout](tmp_path).paths)
    engine = load(EngineSpec("dual-encoder", "tiny", files, "", {"threads": 1, "library": None, "gpu_layers": None}))
    assert (engine.loaded.model, engine.loaded.window, engine.loaded.device) == ("tiny", tiny.WINDOW, "cpu")
    assert engine.loaded.kernels.startswith("ONNX Runtime ")
    seen: list[Event] = []

    def emit(events: Sequence[tuple[int, Event]]) -> None:
        seen.extend(event for _, event in events)
        if isinstance(seen[-1], Done):
            engine.close()

    engine.open(1, EmbeddingRequest((TextPrompt("red"),)), 10)
    engine.run(emit)
    assert [type(event) for event in seen] == [Admitted, EmbeddingVectors, Done]


@pytest.mark.parametrize(("options", "says"), [({"threads": 0}, "threads"), ({"color": 1}, "color")])
def test_invalid_options_are_named(tmp_path: Path, options: dict[str, int], says: str) -> None:
    """An invalid or unknown option is an error that names it."""
    with pytest.raises(Unavailable, match=says):
        load(EngineSpec("dual-encoder", "tiny", attach(tiny.open_clip(tmp_path).paths), "", {**options}))
