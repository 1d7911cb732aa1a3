"""Models that embed texts and images, pulled from a hub and recognized by their files in either layout."""

import pytest

from homeport.domain.errors import HomeportError
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.models.fakes import REPO, FakeHub, Recorder

OPEN_CLIP = {
    "README.md": b"# Model",
    "config.json": b'{"text_cfg": {}}',
    "textual/model.onnx": b"the text tower",
    "textual/tokenizer.json": b"{}",
    "textual/tokenizer_config.json": b"{}",
    "visual/model.onnx": b"the image tower",
    "visual/preprocess_cfg.json": b"{}",
}
TRANSFORMERS = {
    "config.json": b'{"model_type": "clip"}',
    "preprocessor_config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    **{
        f"onnx/{tower}_model{suffix}.onnx": f"{tower}{suffix}".encode()
        for tower in ("text", "vision")
        for suffix in ("", "_fp16", "_quantized")
    },
}
ROLES = {"weights", "images", "config", "preprocessor", "tokenizer", "tokenizer_config"}


@pytest.mark.parametrize("scheme", ["hf", "ms"])
def test_open_clips_exports_are_recognized(
    scheme: str, hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """Both graphs have the same name there, and different ones on disk."""
    hub.files = dict(OPEN_CLIP)
    model = pull(f"{scheme}:{REPO}", store, options, progress)
    assert model.files.keys() == ROLES
    assert model.files["weights"].name == "textual-model.onnx"
    assert model.files["weights"].read_bytes() == b"the text tower"
    assert model.files["images"].read_bytes() == b"the image tower"
    assert (model.facts.kind, model.facts.engine) == ("embeddings", "dual-encoder")
    assert model.facts.capabilities == ("embeddings", "image_embeddings")
    assert model.facts.modalities == ("text", "image")


@pytest.mark.parametrize(("pick", "suffix"), [("", "_quantized"), (":fp16", "_fp16"), (":fp32", "")])
def test_transformers_exports_are_recognized(
    hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder, pick: str, suffix: str
) -> None:
    """Of several precisions the one with 8 bits is used, or the one that is named; both towers have the same."""
    hub.files = dict(TRANSFORMERS)
    model = pull(f"hf:{REPO}{pick}", store, options, progress)
    assert model.files.keys() == ROLES
    assert model.files["weights"].read_bytes() == f"text{suffix}".encode()
    assert model.files["images"].read_bytes() == f"vision{suffix}".encode()


@pytest.mark.parametrize("missing", ["textual/model.onnx", "visual/preprocess_cfg.json", "config.json"])
def test_an_incomplete_model_is_not_one(
    hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder, missing: str
) -> None:
    """A repository that lacks one of the files has no such model."""
    hub.files = {path: data for path, data in OPEN_CLIP.items() if path != missing}
    with pytest.raises(HomeportError):
        pull(f"hf:{REPO}", store, options, progress)
    assert not store.names()


def test_a_precision_that_is_not_there_is_refused(
    hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """Another one is never taken in its place."""
    hub.files = dict(TRANSFORMERS)
    with pytest.raises(HomeportError):
        pull(f"hf:{REPO}:q4", store, options, progress)
