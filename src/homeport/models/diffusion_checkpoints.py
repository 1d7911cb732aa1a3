"""Recognizes complete diffusion checkpoints in one safetensors file, by the names of their tensors.

The file is not trusted: its header's length is checked against the file's length and a limit. Knows nothing of hubs or
of how images are generated.
"""

import struct
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import IMAGES, KINDS
from homeport.domain.models import ModelFacts
from homeport.models.sources.protocol import RemoteFile

SUFFIX = ".safetensors"
_MAX_HEADER_BYTES = 100 << 20  # the format's own limit
_PARTS = {
    "the diffusion model": ("model.diffusion_model.",),
    "a text encoder": ("cond_stage_model.", "conditioner.embedders.", "text_encoders."),
    "an autoencoder": ("first_stage_model.", "vae."),
}


def choose(files: Sequence[RemoteFile], pick: str | None) -> RemoteFile | None:
    """Return the file of this name or path, or the only file; None if it is not a safetensors file.

    In a repository a name is required: most files of this format are text models, which are not served.
    """
    candidates = [file for file in files if file.path.endswith(SUFFIX)]
    if pick is None:
        return candidates[0] if candidates and len(files) == 1 else None
    return next((file for file in candidates if pick in (file.path, file.name)), None)


def facts(name: str, weights: Path) -> ModelFacts:
    """Return what such a model can do. Raises InvalidRequest for another file, or an incomplete one."""
    tensors = _tensors(weights)
    missing = [what for what, marks in _PARTS.items() if not any(tensor.startswith(marks) for tensor in tensors)]
    if missing:
        raise InvalidRequest(
            f"{weights.name} is not a complete diffusion checkpoint: it lacks {' and '.join(missing)}. Models in "
            "several files are pulled by their names in the catalogue, and others in this format are not served."
        )
    return ModelFacts(
        name=name,
        kind=IMAGES,
        engine="diffusion",
        capabilities=KINDS[IMAGES].capabilities,
        created=int(time.time()),
        size_bytes=weights.stat().st_size,
    )


def _tensors(path: Path) -> Iterable[str]:
    """Return the names in the header: its length in eight bytes, then JSON."""
    with path.open("rb") as file:
        head = file.read(8)
        size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= size <= min(_MAX_HEADER_BYTES, path.stat().st_size - 8):
            raise InvalidRequest(f"{path.name} is not a safetensors file that can be read.")
        try:
            return msgspec.json.decode(file.read(size), type=dict[str, Any]).keys()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"{path.name} is not a safetensors file that can be read: {error}.") from error
