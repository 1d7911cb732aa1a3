"""Families of weights are detected by the names of their tensors."""

import json
import struct
from pathlib import Path

import pytest

from homeport.engines.images.pipelines.diffusion.families import detect_family

NAMES = {
    "FLUX": "model.diffusion_model.double_blocks.0.img_attn.qkv.weight",
    "Z-Image": "cap_embedder.0.weight",
    "Stable Diffusion 3": "model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight",
    "Qwen-Image": "transformer_blocks.0.attn.to_q.weight",
    "SDXL": "conditioner.embedders.1.model.ln_final.weight",
    "Stable Diffusion 2": "cond_stage_model.model.ln_final.weight",
    "Stable Diffusion 1": "cond_stage_model.transformer.text_model.final_layer_norm.weight",
}


def weights(path: Path, *names: str) -> Path:
    """Write a safetensors file with such tensors, each with one number."""
    entries = {
        name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]} for at, name in enumerate(names)
    }
    head = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4 * len(names)))
    return path


@pytest.mark.parametrize(("found", "name"), NAMES.items())
def test_a_family_is_detected_by_a_tensor(tmp_path: Path, found: str, name: str) -> None:
    """Each family has tensor names that no other has."""
    assert detect_family(weights(tmp_path / "w.safetensors", "model.something.weight", name)).name == found


def test_distilled_guidance_is_an_input(tmp_path: Path) -> None:
    """FLUX.1-dev has a guidance input, schnell does not."""
    flux = NAMES["FLUX"]
    assert not detect_family(weights(tmp_path / "schnell", flux)).is_distilled
    dev = detect_family(weights(tmp_path / "dev", flux, "model.diffusion_model.guidance_in.in_layer.weight"))
    assert (dev.is_distilled, dev.guidance) == (True, 3.5)


def test_a_missing_file_raises(tmp_path: Path) -> None:
    """A missing file raises OSError."""
    with pytest.raises(OSError, match="none"):
        detect_family(tmp_path / "none")
