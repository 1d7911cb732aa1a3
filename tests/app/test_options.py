"""Settings become the options of engines; a model's manifest has the last word."""

from pathlib import Path

import pytest

from homeport.app.options import engine_options
from homeport.domain.kinds import EMBEDDINGS, MODERATION, SPEECH, TEXT
from homeport.domain.models import InstalledModel, ModelFacts
from homeport.models.model_store import ModelStore
from homeport.settings import Settings


class _Manifest:
    def __init__(self, options: dict[str, int]) -> None:
        self.options = options


@pytest.mark.parametrize(
    ("kind", "has_option"), [(TEXT, True), (EMBEDDINGS, True), (MODERATION, True), (SPEECH, False)]
)
def test_gpu_layers_reach_the_engines_that_use_llama_cpp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, has_option: bool
) -> None:
    """The setting is an option of these engines; a manifest replaces it for its model."""
    settings, store = Settings(home=tmp_path, gpu_layers=20), ModelStore(tmp_path)
    model = InstalledModel(ModelFacts("m", kind, kind), {}, "d")
    for options, expected in ({}, 20), ({"gpu_layers": 0}, 0):
        monkeypatch.setattr(store, "manifest", lambda _, options=options: _Manifest(options))
        assert engine_options(settings, store, model).get("gpu_layers") == (expected if has_option else None)
