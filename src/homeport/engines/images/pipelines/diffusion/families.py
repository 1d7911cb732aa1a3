"""Detects the family of a weights file by the names of its tensors, and with it the default size and steps.

Both safetensors and GGUF have the tensors' names in their first megabytes, as plain text. Knows nothing of the library.
"""

from pathlib import Path
from typing import NamedTuple

_HEAD_BYTES = 8 * 1024 * 1024
_DISTILLED = b"guidance_in."


class DiffusionFamily(NamedTuple):
    """`edge`: of the native square, in pixels; `guidance` 1: none. `is_distilled`: guidance is an input."""

    name: str
    edge: int
    steps: int
    guidance: float
    is_distilled: bool = False


_FAMILIES = (
    (b"double_blocks.", DiffusionFamily("FLUX", 1024, 20, 1.0)),
    (b"cap_embedder.", DiffusionFamily("Z-Image", 1024, 9, 1.0)),
    (b"joint_blocks.", DiffusionFamily("Stable Diffusion 3", 1024, 28, 4.5)),
    (b"transformer_blocks.", DiffusionFamily("Qwen-Image", 1024, 20, 2.5)),
    (b"conditioner.embedders.", DiffusionFamily("SDXL", 1024, 25, 6.0)),
    (b"cond_stage_model.model.", DiffusionFamily("Stable Diffusion 2", 512, 25, 7.0)),
)
_DEFAULT = DiffusionFamily("Stable Diffusion 1", 512, 20, 7.0)


def detect_family(weights: Path) -> DiffusionFamily:
    """Detect the family of a weights file. Raises OSError if it cannot be read."""
    with weights.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    detected = next((family for mark, family in _FAMILIES if mark in head), _DEFAULT)
    return detected._replace(guidance=3.5, is_distilled=True) if _DISTILLED in head else detected
