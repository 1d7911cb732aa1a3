"""TripoSR as two ONNX graphs: one from a picture to a triplane, one from places in it to density and color.

Exports differ in the names of their inputs, and in whether the second graph reads places or what the triplane holds
there; both are found in the graphs themselves. A triplane is three planes of features, XY, XZ and YZ, around the
origin; `RADIUS` is how far each reaches. Source of the numbers: https://github.com/VAST-AI-Research/TripoSR
(`config.yaml`, `tsr/models/nerf_renderer.py`). Knows nothing of requests or surfaces.
"""

from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from homeport.domain.errors import EngineFailed, Unavailable
from homeport.engines.onnx_sessions import open_session

Floats: TypeAlias = NDArray[np.float32]

RADIUS = 0.87
PICTURE_EDGE = 512
_PLANES = ((0, 1), (0, 2), (1, 2))
"""The axes of each plane: the first runs along its columns, the second along its rows."""
_PLACES = ("points", "xyz", "positions")
_DENSITY = ("density", "density_act", "sigma")
_COLOR = ("color", "colors", "rgb")


class FieldValues(NamedTuple):
    """The density [n] and the color [n, 3], from 0 to 1, of n places."""

    density: Floats
    color: Floats


class PictureEncoder:
    """From a picture to a triplane. Raises Unavailable if the file does not load or is no such graph."""

    def __init__(self, file: Path, threads: int | None) -> None:
        self._session = open_session(file, threads)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise Unavailable(f"{file.name} does not read one picture, so it is not the encoder of a shape model.")
        self._input = inputs[0].name
        extent = inputs[0].shape[3]
        self.edge = extent if isinstance(extent, int) else PICTURE_EDGE

    def run(self, picture: Floats, run: onnxruntime.RunOptions) -> Floats:
        """Return the triplane [3, channels, rows, columns] of a picture [1, 3, edge, edge].

        `run.terminate` set from another thread ends the work soon. Raises EngineFailed.
        """
        (triplane, *_) = _run(self._session, {self._input: picture}, None, run)
        planes = np.asarray(triplane, np.float32)
        planes = planes[0] if planes.ndim == 5 else planes
        if planes.ndim != 4 or planes.shape[0] != len(_PLANES):
            raise EngineFailed(f"The encoder returned {planes.shape} instead of three planes.")
        return planes


class FieldDecoder:
    """From places to density and color. Raises Unavailable if the file does not load or is no such graph."""

    def __init__(self, file: Path, threads: int | None) -> None:
        self._session = open_session(file, threads)
        inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = [each.name for each in self._session.get_outputs()]
        self._outputs = [next((name for name in names if name in outputs), "") for names in (_DENSITY, _COLOR)]
        places = [name for name in _PLACES if name in inputs]
        is_whole = len(inputs) == 2 and len(places) == 1
        if not all(self._outputs) or not (is_whole or len(inputs) == 1):
            raise Unavailable(
                f"{file.name} does not map places to density and color, so it is not the decoder of a shape model "
                f"(its inputs: {', '.join(inputs)}; its outputs: {', '.join(outputs)})."
            )
        self._places = places[0] if is_whole else ""
        self._other = next(name for name in inputs if name != self._places)
        self._ranks = {name: len(each.shape) for name, each in inputs.items()}

    def run(self, triplane: Floats, places: Floats) -> FieldValues:
        """Return what the triplane has at places [n, 3], in -`RADIUS`..`RADIUS`. Raises EngineFailed."""
        if self._places:
            feeds = {self._other: self._fit(self._other, triplane, 5), self._places: self._fit(self._places, places, 3)}
        else:
            feeds = {self._other: self._fit(self._other, sample_triplane(triplane, places), 3)}
        density, color = _run(self._session, feeds, self._outputs, None)
        return FieldValues(np.asarray(density, np.float32).reshape(-1), np.asarray(color, np.float32).reshape(-1, 3))

    def _fit(self, name: str, values: Floats, batched_rank: int) -> Floats:
        """Return values with the axis of a batch, if the graph's input has one."""
        return values[None] if self._ranks[name] == batched_rank else values


def sample_triplane(triplane: Floats, places: Floats) -> Floats:
    """Return the features of places [n, 3]: those of the three planes one after another, [n, 3 * channels].

    Between the middles of cells they are interpolated; outside of the planes they are 0.
    """
    return np.concatenate(
        [
            _sample_plane(plane, places[:, axes] / RADIUS)
            for plane, axes in zip(triplane, map(list, _PLANES), strict=True)
        ],
        axis=1,
    )


def _sample_plane(plane: Floats, places: Floats) -> Floats:
    """Return the features of places [n, 2], column then row from -1 to 1, in a plane [channels, rows, columns]."""
    channels, n_rows, n_columns = plane.shape
    bordered = np.zeros((n_rows + 2, n_columns + 2, channels), np.float32)
    bordered[1:-1, 1:-1] = plane.transpose(1, 2, 0)
    columns = np.clip(((places[:, 0] + 1) * n_columns - 1) / 2 + 1, 0, n_columns + 1)
    rows = np.clip(((places[:, 1] + 1) * n_rows - 1) / 2 + 1, 0, n_rows + 1)
    left, top = np.minimum(columns.astype(np.int64), n_columns), np.minimum(rows.astype(np.int64), n_rows)
    right, down = (columns - left)[:, None], (rows - top)[:, None]
    upper = bordered[top, left] * (1 - right) + bordered[top, left + 1] * right
    lower = bordered[top + 1, left] * (1 - right) + bordered[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _run(
    session: onnxruntime.InferenceSession,
    feeds: dict[str, Floats],
    outputs: list[str] | None,
    run: onnxruntime.RunOptions | None,
) -> list[Any]:
    try:
        return list(session.run(outputs, feeds, run))
    except Exception as error:  # onnxruntime's errors have no common base class
        raise EngineFailed(f"The shape model failed: {type(error).__name__}: {str(error)[:200]}") from error
