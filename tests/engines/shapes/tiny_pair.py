"""Tiny shape models in the layouts of TripoSR's exports, built by code: their fields are known, so results are checked.

The encoder's triplane holds places and the picture's mean color; the decoder makes a ball, a box, nothing or noise.
"""

import io
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.models import ModelFacts
from homeport.engines.shapes.engine import DENSITY_LEVEL
from homeport.engines.shapes.networks import RADIUS
from homeport.formats import onnx_writer
from homeport.formats.onnx_writer import Graph, Initializer, OnnxNode
from homeport.models.disk import sha256
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore

MODEL = "tiny-triposr"
EDGE, CELLS = 64, 16
SIZE = 0.35
"""The radius of the ball, and half of the edge of the box."""
LAYOUTS = ("triplane", "samples")
_SLOPE = 200.0


def write_pair(folder: Path, thing: str = "ball", layout: str = "triplane") -> dict[str, Path]:
    """Write both graphs; return them by role. `thing`: ball, box, nothing or noise."""
    paths = {role: folder / f"triposr_{role}.onnx" for role in ("encoder", "decoder")}
    onnx_writer.write(paths["encoder"], _encoder())
    onnx_writer.write(paths["decoder"], _decoder(thing, layout))
    return paths


def install_pair(home: Path, thing: str = "ball", layout: str = "triplane") -> None:
    """Install the pair as a model of a home folder."""
    store = ModelStore(home)
    folder = store.folder(MODEL)
    folder.mkdir(parents=True)
    stored = tuple(
        StoredFile(path.name, role, path.stat().st_size, sha256(path))
        for role, path in write_pair(folder, thing, layout).items()
    )
    facts = ModelFacts(name=MODEL, kind="shapes", engine="shapes", capabilities=("shapes",), size_bytes=1_000_000)
    store.commit(Manifest(facts, "made for tests", None, stored))


def picture(color: tuple[int, int, int] = (220, 30, 30), edge: int = 96, background: object = None) -> bytes:
    """Return a PNG file of a colored square in the middle, on a transparent background or on one color."""
    mode, around = ("RGBA", (0, 0, 0, 0)) if background is None else ("RGB", background)
    made = Image.new(mode, (edge, edge), around)  # type: ignore[arg-type]
    made.paste((*color, 255) if mode == "RGBA" else color, (edge // 4, edge // 4, 3 * edge // 4, 3 * edge // 4))
    written = io.BytesIO()
    made.save(written, "PNG")
    return written.getvalue()


def _constant(name: str, values: NDArray[np.float32]) -> Initializer:
    return Initializer(name, values.shape, array("f", values.astype(np.float32).tobytes()))


def _encoder() -> Graph:
    """Planes [3, 4, CELLS, CELLS], with channels: places along columns and along rows, a mean color, and 1."""
    middles = ((np.arange(CELLS) + 0.5) / CELLS * 2 - 1) * RADIUS
    places, mask = np.zeros((2, 3, 4, CELLS, CELLS), np.float32)
    places[:, 0], places[:, 1], places[:, 3], mask[:, 2] = middles[None, :], middles[:, None], 1, 1
    nodes = (
        OnnxNode("GlobalAveragePool", ("image",), ("mean",)),
        OnnxNode("Transpose", ("mean",), ("by_plane",), {"perm": (1, 0, 2, 3)}),
        OnnxNode("Mul", ("by_plane", "mask"), ("colors",)),
        OnnxNode("Add", ("colors", "places"), ("scene_codes",)),
    )
    constants = (_constant("places", places), _constant("mask", mask))
    planes = {"scene_codes": (3, 4, CELLS, CELLS)}
    return Graph("encoder", nodes, constants, {"image": (1, 3, EDGE, EDGE)}, planes)


def _decoder(thing: str, layout: str) -> Graph:
    """Density and color of places, or of what the triplane holds there."""
    field_nodes, constants = _field(thing, 2 if layout == "triplane" else 1)
    if layout == "triplane":
        constants += (
            _constant("third", np.eye(4, dtype=np.float32)[:, 2:3]),
            _constant("zero", np.zeros(1, np.float32)),
        )
        nodes = (
            OnnxNode("ReduceMean", ("scene_codes",), ("means",), {"axes": (2, 3), "keepdims": 0}),
            OnnxNode("MatMul", ("means", "third"), ("column",)),
            OnnxNode("Transpose", ("column",), ("row",), {"perm": (1, 0)}),
            OnnxNode("Mul", ("points", "zero"), ("zeros",)),
            OnnxNode("Add", ("zeros", "row"), ("color",)),
            OnnxNode("Identity", ("constant",), ("top",)),
            *field_nodes,
        )
        inputs = {"scene_codes": (3, 4, CELLS, CELLS), "points": (1, "n", 3)}
        return Graph("decoder", nodes, constants, inputs, {"density": (1, "n", 1), "color": (1, "n", 3)})
    to_points, to_colors = np.zeros((2, 12, 3), np.float32)
    to_points[[0, 1, 5], [0, 1, 2]], to_colors[[2, 6, 10], [0, 1, 2]] = 1, 1
    constants += (_constant("to_points", to_points), _constant("to_colors", to_colors))
    constants += (_constant("fourth", np.eye(12, dtype=np.float32)[:, 3:4]),)
    nodes = (
        OnnxNode("MatMul", ("features", "to_points"), ("points",)),
        OnnxNode("MatMul", ("features", "to_colors"), ("color",)),
        OnnxNode("MatMul", ("features", "fourth"), ("ones",)),  # 0 outside of the planes, where all features are
        OnnxNode("Mul", ("ones", "constant"), ("top",)),
        *field_nodes,
    )
    return Graph("decoder", nodes, constants, {"features": ("n", 12)}, {"density": ("n", 1), "color": ("n", 3)})


def _field(thing: str, axis: int) -> tuple[tuple[OnnxNode, ...], tuple[Initializer, ...]]:
    """The nodes from points, and the density `top` at the origin, to density."""
    steep = _constant("slope", np.full(1, -_SLOPE, np.float32))
    sums = _constant("sums", np.ones((3, 1), np.float32))
    if thing == "box":
        nodes = (
            OnnxNode("Abs", ("points",), ("sizes",)),
            OnnxNode("ReduceMax", ("sizes",), ("reach",), {"axes": (axis,), "keepdims": 1}),
        )
        top = DENSITY_LEVEL + _SLOPE * SIZE
    elif thing == "noise":
        sums = _constant("sums", np.array([[9001.7], [7013.3], [8111.9]], np.float32))
        nodes = (OnnxNode("MatMul", ("points", "sums"), ("phases",)), OnnxNode("Sin", ("phases",), ("reach",)))
        top = DENSITY_LEVEL
    else:
        nodes = (
            OnnxNode("Mul", ("points", "points"), ("squares",)),
            OnnxNode("MatMul", ("squares", "sums"), ("reach",)),
        )
        top = DENSITY_LEVEL + _SLOPE * SIZE**2 if thing == "ball" else 0.0
    level = _constant("constant", np.full(1, top, np.float32))
    ends = (OnnxNode("Mul", ("reach", "slope"), ("slopes",)), OnnxNode("Add", ("slopes", "top"), ("density",)))
    return (*nodes, *ends), (steep, sums, level) if thing != "box" else (steep, level)
