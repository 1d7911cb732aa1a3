"""The projector's library: its parameters are checked, and what stands for a picture is read from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.llama import mtmd
from homeport.engines.llama.library import kernels
from homeport.engines.llama.mtmd import Projector
from tests.samples import tiny_decoders
from tests.samples.tiny_projectors import PATCH, grid_projector

READ = """
import json, sys
from pathlib import Path
import msgspec
from homeport.engines.llama.library import kernels
from homeport.engines.llama.mtmd import Projector
projector = Projector(kernels(None), Path(sys.argv[1]), Path(sys.argv[2]), 1)
width, height = int(sys.argv[3]), int(sys.argv[4])
pieces = projector.read_picture(width, height, bytes(3 * width * height))
first = projector.encode()
projector.read_picture(height, width, bytes(3 * width * height))
facts = {"width": projector.width, "sees": projector.sees, "hears": projector.hears, "grid": projector.uses_grid}
print(json.dumps({"pieces": msgspec.to_builtins(pieces), "bytes": len(first), **facts}))
"""


@pytest.fixture(scope="module")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny text model whose positions have four parts."""
    return tiny_decoders.decoder(tmp_path_factory.mktemp("models") / "qwen2vl.gguf", "qwen2vl")


def test_a_picture_with_a_grid_of_positions(text_model: Path, tmp_path: Path) -> None:
    """The embeddings of a picture have the position of their row and column, and take as many as its longer edge has.

    The library is used in a process of its own, as the engine does.
    """
    eye = grid_projector(tmp_path / "mmproj.gguf")
    width, height = 8 * PATCH, 6 * PATCH
    command = [sys.executable, "-c", READ, str(text_model), str(eye), str(width), str(height)]
    facts = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    (piece,) = (piece for piece in facts["pieces"] if piece["n_rows"])
    rows, columns = 3, 4
    assert piece["n_rows"] == rows * columns
    assert piece["n_positions"] == columns
    assert piece["grid"] == [[0, row, column, 0] for row in range(rows) for column in range(columns)]
    assert facts["bytes"] == rows * columns * tiny_decoders.WIDTH * 4
    assert {name: facts[name] for name in ("width", "sees", "hears", "grid")} == {
        "width": tiny_decoders.WIDTH,
        "sees": True,
        "hears": False,
        "grid": True,
    }


def test_unknown_parameters_are_refused(text_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose default parameters are not the known ones is not used, and the differing ones are named."""
    monkeypatch.setattr(mtmd, "_DEFAULTS", {**mtmd._DEFAULTS, "batch_max_tokens": 7, "image_max_tokens": 3})
    with pytest.raises(Unavailable, match=r"unknown \(image_max_tokens, batch_max_tokens\)"):
        Projector(kernels(None), text_model, tmp_path / "mmproj.gguf", 1)


def test_a_file_that_is_no_projector_is_refused(text_model: Path) -> None:
    """A text model in place of a projector is an error that names both files."""
    with pytest.raises(Unavailable, match=r"qwen2vl\.gguf cannot be used with qwen2vl\.gguf"):
        Projector(kernels(None), text_model, text_model, 1)
