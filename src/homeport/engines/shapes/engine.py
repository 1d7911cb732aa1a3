"""Loads a shape model and computes shapes: picture, triplane, field, surface, colors, file. Chunk by chunk.

The encoder is one long computation, so it runs in a thread of its own: meanwhile other requests continue, and a
canceled request terminates it. Knows nothing of graphs, file formats or HTTP.
"""

import secrets
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import TypeAlias, TypeVar

import msgspec
import numpy as np
import onnxruntime

from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted, Done, Event, GeneratedShape, ShapeProgress, Usage
from homeport.domain.models import LoadedModel
from homeport.domain.ports.engine import Engine
from homeport.domain.shapes import FILE_BYTES_MAX, ShapeQuality, ShapeRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.engine_options import read_options
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine
from homeport.engines.shapes import shape_files
from homeport.engines.shapes.marching_cubes import SurfaceTooLarge, extract_surface
from homeport.engines.shapes.meshes import Floats, Mesh, build_mesh, fit_unit_cube, sample_points
from homeport.engines.shapes.networks import RADIUS, FieldDecoder, PictureEncoder
from homeport.engines.shapes.pictures import prepare_picture
from homeport.engines.shapes.preview import render_preview

DENSITY_LEVEL = 25.0
"""The density of the surface, as of TripoSR's own program (`run.py`)."""
GRIDS = {ShapeQuality.AUTO: 256, ShapeQuality.COARSE: 128}
"""The points of the grid along each axis."""
STEPS = 20
"""How many steps of progress a shape has: the encoder is the first one, its colors and file are the last."""
_CHUNK = 65_536
_POLL_S = 0.1
_SEEDS = 2**32

T = TypeVar("T")
Chunks: TypeAlias = Generator[bool, None, T]
"""Chunks of work, about a second each at most: yields whether one completed a step of progress; returns the result."""


class ShapeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`threads`: of a computation; None: one for each core."""

    threads: int | None = None


def load(spec: EngineSpec) -> Engine:
    """Load the model that a spec names: files `encoder` and `decoder`. Raises Unavailable."""
    options = read_options(ShapeOptions, spec.options, "shape", positive=("threads",))
    model = ShapeModel(
        PictureEncoder(spec.paths["encoder"], options.threads), FieldDecoder(spec.paths["decoder"], options.threads)
    )
    work = GeneratorWork[ShapeRequest](partial(generate_shapes, model), model.close)
    return RoundRobinEngine(LoadedModel(spec.model, kernels="onnxruntime"), ShapeRequest, work)


class ShapeModel:
    """A loaded model, from pictures to meshes."""

    def __init__(self, encoder: PictureEncoder, decoder: FieldDecoder) -> None:
        self.edge = encoder.edge
        self._encoder = encoder
        self._decoder = decoder
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="encoder")

    def encode(self, picture: Floats) -> Chunks[Floats]:
        """Return the triplane of a picture. Closing the generator terminates the computation."""
        options = onnxruntime.RunOptions()
        future = self._threads.submit(self._encoder.run, picture, options)
        try:
            while not _is_done(future):
                yield False
            return future.result()
        finally:
            if not future.cancel():
                options.terminate = True

    def find_surface(self, triplane: Floats, grid: int, steps: int) -> Chunks[Mesh | None]:
        """Return the mesh of a triplane, in a unit cube with y up, computed in `steps` steps; None: it has no surface.

        Raises SurfaceTooLarge.
        """
        axis = np.linspace(-RADIUS, RADIUS, grid, dtype=np.float32)
        field = np.empty((grid, grid, grid), np.float32)
        for x in range(grid):
            places = np.stack(np.meshgrid(axis[x : x + 1], axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
            for at in range(0, len(places), _CHUNK):
                density = self._decoder.run(triplane, places[at : at + _CHUNK]).density
                field[x].reshape(-1)[at : at + _CHUNK] = density
            yield (x + 1) * steps // grid > x * steps // grid
        vertices, triangles = extract_surface(np.nan_to_num(field), DENSITY_LEVEL)
        if not len(triangles):
            return None
        yield False
        places = vertices * (2 * RADIUS / (grid - 1)) - RADIUS
        colors = np.empty_like(places)
        for at in range(0, len(places), _CHUNK):
            colors[at : at + _CHUNK] = self._decoder.run(triplane, places[at : at + _CHUNK]).color
            yield False
        return build_mesh(fit_unit_cube(_y_up(places)), colors, triangles)

    def close(self) -> None:
        """Free the model, when the encoder has ended."""
        self._threads.shutdown(cancel_futures=True)
        del self._encoder, self._decoder


def generate_shapes(model: ShapeModel, active: ActiveRequest[ShapeRequest]) -> Iterator[Event | None]:
    """Iterate over the events of a request. Raises InvalidRequest for a picture without a clear thing in it."""
    request = active.request
    pictures = {
        image: prepare_picture(image.local_path, model.edge, request.background, request.field)
        for image in dict.fromkeys(request.images)
    }
    yield Admitted(0)
    seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
    meshes: dict[Attachment, Mesh] = {}
    for index, image in enumerate(request.images):
        if image not in meshes:
            meshes[image] = yield from _compute_mesh(model, pictures[image], request, index)
        shape = _encode(meshes[image], request, index, (seed + index) % _SEEDS)
        yield ShapeProgress(index, STEPS, STEPS)
        yield shape
    yield Done(Usage())


def _compute_mesh(
    model: ShapeModel, picture: Floats, request: ShapeRequest, index: int
) -> Generator[Event | None, None, Mesh]:
    """Compute one shape, with all of its progress but the last step."""
    triplane = yield from _report(model.encode(picture), index, 0)
    yield ShapeProgress(index, 1, STEPS)
    try:
        surface = model.find_surface(triplane, GRIDS[request.quality], STEPS - 2)
        mesh = yield from _report(surface, index, 1)
    except SurfaceTooLarge as error:
        raise InvalidRequest(
            f"The model found no clear surface in '{request.field}': {error}. Send a picture of one thing on a plain "
            "background.",
            param=request.field,
            code="unclear_shape",
        ) from error
    if mesh is None:
        raise InvalidRequest(
            f"The model found nothing in '{request.field}'. Send a picture of one thing on a plain background.",
            param=request.field,
            code="empty_shape",
        )
    return mesh


def _report(chunks: Chunks[T], index: int, step: int) -> Generator[Event | None, None, T]:
    """Turn the completed steps of chunks into events, the first of them after step `step`."""
    try:
        while True:
            if next(chunks):
                step += 1
                yield ShapeProgress(index, step, STEPS)
            else:
                yield None
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        chunks.close()


def _encode(mesh: Mesh, request: ShapeRequest, index: int, seed: int) -> GeneratedShape:
    """Return a shape as a file, with its preview. Raises InvalidRequest if it is too large."""
    shape = mesh if request.points is None else sample_points(mesh, request.points, seed)
    data = shape_files.encode(shape, request.format)
    preview = render_preview(shape) if request.has_preview else b""
    if len(data) > FILE_BYTES_MAX:
        raise InvalidRequest(
            f"The file of this shape has {len(data)} bytes, and at most {FILE_BYTES_MAX} are sent. Use 'coarse', or "
            "ask for points by 'size'.",
            param="quality",
            code="shape_too_large",
        )
    return GeneratedShape(index, data, len(shape.vertices), len(shape.triangles), preview)


def _y_up(places: Floats) -> Floats:
    """Turn the model's axes, of which z is up, into those of glTF: y is up, and the picture was taken from +z."""
    return np.stack((-places[:, 1], places[:, 2], -places[:, 0]), axis=1)


def _is_done(future: Future[Floats]) -> bool:
    """Wait a moment for a computation; return whether it has ended."""
    try:
        future.exception(_POLL_S)
    except FutureTimeoutError:
        return False
    return True
