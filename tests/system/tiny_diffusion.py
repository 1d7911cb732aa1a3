"""A home with a tiny image model, and images to send to it."""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.models import ModelFacts
from homeport.models.disk import sha256
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from tests.engines.images import tiny_checkpoint

MODEL = "tiny-flux"
Array = NDArray[np.uint8]


def install_tiny_model(home: Path, edge: int = 64) -> None:
    """Install the tiny FLUX-format model: it generates noise of `edge` pixels, through the real library."""
    if tiny_checkpoint.IS_NOWHERE:
        pytest.skip(tiny_checkpoint.NOWHERE)
    if find_spec("cyllama") is None:
        pytest.fail("cyllama is not installed: run `make setup`")
    store = ModelStore(home)
    folder = store.folder(MODEL)
    folder.mkdir(parents=True)
    files = tiny_checkpoint.make(folder)
    stored = tuple(
        StoredFile(path.name, role, path.stat().st_size, sha256(path) if role == "diffusion" else "0" * 64)
        for role, path in files.items()
    )
    facts = ModelFacts(
        name=MODEL,
        kind="images",
        engine="diffusion",
        capabilities=("images", "image_edits", "image_variations"),
        size_bytes=10_000_000,
    )
    options: dict[str, str | int | float | bool] = {"size": edge, "steps": 3, "method": "EULER"}
    store.commit(Manifest(facts, "made for tests", None, stored, options=options))


def source(edge: int = 256, hole: bool = False, height: int | None = None) -> Array:
    """Return a smooth image with alpha; with a hole, its upper half is transparent."""
    made = np.full((height or edge, edge, 4), 255, np.uint8)
    made[..., 0] = np.linspace(0, 255, edge, dtype=np.uint8)[None, :]
    made[..., 1] = np.linspace(0, 255, height or edge, dtype=np.uint8)[:, None]
    made[..., 2] = 77
    if hole:
        made[: made.shape[0] // 2, :, 3] = 0
    return made


def file(pixels: Array, kind: str = "PNG") -> bytes:
    """Encode an image as a file."""
    written = io.BytesIO()
    made = Image.fromarray(pixels)
    (made.convert("RGB") if kind == "JPEG" else made).save(written, kind)
    return written.getvalue()


def shown(data: bytes) -> Array:
    """Return a file's pixels."""
    with Image.open(io.BytesIO(data)) as read:
        return np.asarray(read)


def kind(data: bytes) -> str:
    """Return a file's format."""
    with Image.open(io.BytesIO(data)) as read:
        return str(read.format)
