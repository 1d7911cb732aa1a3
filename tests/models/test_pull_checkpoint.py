"""Diffusion checkpoints in one safetensors file, pulled from a hub or a file and recognized by their tensors."""

import json
import struct
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.models.fakes import REPO, FakeHub, Recorder, gguf

UNET, CLIP, VAE = (
    "model.diffusion_model.input_blocks.0.0.weight",
    "cond_stage_model.transformer.text_model.final_layer_norm.weight",
    "first_stage_model.decoder.conv_in.weight",
)
HUBS = pytest.mark.parametrize("scheme", ["hf", "ms"])


def safetensors(*names: str) -> bytes:
    """Return a file with these tensors, each of one number."""
    entries = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]} for at, name in enumerate(names)
    }
    head = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    return struct.pack("<Q", len(head)) + head + bytes(4 * len(names))


WHOLE = safetensors(UNET, CLIP, VAE)


def test_a_users_file_is_an_image_model(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """A whole checkpoint is a model for all three image endpoints, under its file's name."""
    origin = tmp_path / "My Paint v2.safetensors"
    origin.write_bytes(WHOLE)
    model = pull(f"file:{origin}", store, PullOptions(offline=True), progress)
    facts = model.facts
    assert (facts.name, facts.kind, facts.engine) == ("my-paint-v2", "images", "diffusion")
    assert facts.capabilities == ("images", "image_edits", "image_variations")
    assert (facts.size_bytes, facts.licence) == (len(WHOLE), "unknown")
    assert model.files["weights"].read_bytes() == WHOLE


@HUBS
def test_one_of_a_repository_is_picked_by_its_name(
    scheme: str, hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """Also next to other and GGUF files. Without a name no file of this format is pulled: it could be anything."""
    hub.files = {"a.safetensors": b"other", "deep/b.safetensors": WHOLE, "Tiny-Q4_K_M.gguf": gguf()}
    assert pull(f"{scheme}:{REPO}:b.safetensors", store, options, progress).facts.name == "b"
    assert pull(f"{scheme}:{REPO}", store, options, progress).facts.kind == "text"
    hub.files = {"model.safetensors": WHOLE, "README.md": b"# A language model"}
    with pytest.raises(InvalidRequest, match="no GGUF"):
        pull(f"{scheme}:{REPO}", store, options, progress)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (safetensors(UNET, VAE), "lacks a text encoder"),
        (safetensors("double_blocks.0.img_attn.qkv.weight"), "lacks the diffusion model and a text encoder and"),
        (b"", "not a safetensors"),
        (b"\xff" * 100, "not a safetensors"),
        (struct.pack("<Q", 20) + b"{" * 40, "not a safetensors"),
        (struct.pack("<Q", 2) + b"[]" + bytes(10), "not a safetensors"),
    ],
)
def test_what_is_no_whole_checkpoint_is_not_installed(
    tmp_path: Path, store: ModelStore, progress: Recorder, data: bytes, says: str
) -> None:
    """Parts of a model, and other files, are refused with the reason, and deleted."""
    origin = tmp_path / "odd.safetensors"
    origin.write_bytes(data)
    with pytest.raises(InvalidRequest, match=says):
        pull(f"file:{origin}", store, PullOptions(offline=True), progress)
    assert not store.folder("odd").exists()
    assert origin.exists()
