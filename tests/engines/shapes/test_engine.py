"""The shape engine on models whose fields are known: closed meshes, sizes, colors, seeds, progress, cancellation."""

import io
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import onnxruntime
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image

from homeport.domain.content import Attachment, attach
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import ErrorInfo, InvalidRequest, Unavailable
from homeport.domain.events import Admitted, Done, Event, Failed, GeneratedShape, ShapeProgress, Usage
from homeport.domain.ports.engine import Engine
from homeport.domain.shapes import ShapeBackground, ShapeFormat, ShapeQuality, ShapeRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.shapes import engine as shape_engine
from homeport.engines.shapes import marching_cubes
from homeport.engines.shapes.engine import GRIDS, STEPS, load
from homeport.engines.shapes.networks import PictureEncoder
from homeport.engines.shapes.preview import COLUMNS, EDGE, ROWS
from tests.engines.shapes.tiny_pair import LAYOUTS, MODEL, picture, write_pair

DEADLINE_S = 90.0


class ShapeEngineRunner:
    """Runs an engine in a thread of the test, and collects its events by request."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.by_request: dict[int, list[Event]] = defaultdict(list)
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=engine.run, args=(self._emit,), daemon=True)
        self._ids = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def open(self, request: ShapeRequest) -> int:
        """Open a request; return its id."""
        self._ids += 1
        self.engine.open(self._ids, request, 1000)
        return self._ids

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds; it is checked at every event."""
        with self._changed:
            assert self._changed.wait_for(holds, DEADLINE_S), dict(self.by_request)

    def is_over(self, id: int) -> bool:
        """Return whether a request has ended."""
        return any(isinstance(event, Done | Failed) for event in self.by_request[id])

    def ask(self, request: ShapeRequest) -> list[Event]:
        """Open a request and wait for its end."""
        id = self.open(request)
        self.until(lambda: self.is_over(id))
        return self.by_request[id]

    def shapes(self, request: ShapeRequest) -> list[GeneratedShape]:
        """Return the shapes of a request that does not fail."""
        events = self.ask(request)
        assert events[-1] == Done(Usage()), events[-1]
        return [event for event in events if isinstance(event, GeneratedShape)]

    def error(self, request: ShapeRequest) -> ErrorInfo:
        """Return why a request fails."""
        last = self.ask(request)[-1]
        assert isinstance(last, Failed)
        return last.fault

    def _emit(self, events: Sequence[tuple[int, Event]]) -> None:
        with self._changed:
            for id, event in events:
                self.by_request[id].append(event)
            self._changed.notify_all()


def load_pair(folder: Path, thing: str = "ball", layout: str = "triplane", **options: Any) -> Engine:
    """Load a tiny model."""
    files = attach(write_pair(folder, thing, layout))
    return load(EngineSpec("shapes", MODEL, files, "digest", {"threads": 1, **options}))


@pytest.fixture(autouse=True, scope="module")
def small_grids() -> Iterator[None]:
    """Compute small grids, because the tests look at shapes, not at their details."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(GRIDS, ShapeQuality.COARSE, 40)
        patch.setitem(GRIDS, ShapeQuality.AUTO, 80)
        yield


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShapeEngineRunner]:
    """An engine whose model makes a ball of every picture."""
    with ShapeEngineRunner(load_pair(tmp_path_factory.mktemp("balls"))) as runner:
        yield runner


def attached(folder: Path, data: bytes, name: str = "picture.png") -> Attachment:
    """Write a picture; return it as an attachment."""
    (folder / name).write_bytes(data)
    return Attachment(folder / name)


def shape_request(folder: Path, data: bytes | None = None, **changes: Any) -> ShapeRequest:
    """Return a request for one coarse shape of a red square."""
    image = attached(folder, picture() if data is None else data)
    return msgspec.structs.replace(ShapeRequest((image,), quality=ShapeQuality.COARSE), **changes)


def mesh_of(shape: GeneratedShape, format: str) -> trimesh.Trimesh:
    """Return a file's only mesh, after checking the counts of the event."""
    scene = trimesh.load_scene(io.BytesIO(shape.data), file_type=format)
    (mesh,) = scene.geometry.values()
    assert isinstance(mesh, trimesh.Trimesh)
    assert (len(mesh.vertices), len(mesh.faces)) == (shape.points, shape.triangles)
    return mesh


def first_color(shape: GeneratedShape) -> NDArray[np.uint8]:
    """Return the color of the first vertex of a PLY file."""
    visual: Any = mesh_of(shape, "ply").visual
    return np.asarray(visual.vertex_colors[0][:3])


def first_linear_color(shape: GeneratedShape) -> NDArray[np.float64]:
    """Return the color of the first vertex of a GLB file, from 0 to 1."""
    visual: Any = mesh_of(shape, "glb").visual
    return np.asarray(visual.vertex_attributes["color"][0][:3] / 65535)


def points_of(shape: GeneratedShape) -> NDArray[np.float64]:
    """Return the points of a JSON file."""
    return np.array(msgspec.json.decode(shape.data)["points"])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("format", ["glb", "ply"])
def test_a_ball_is_a_closed_mesh_in_a_unit_cube(tmp_path: Path, layout: str, format: str) -> None:
    """The mesh is watertight, points outward, and has the volume and the radius of a ball of diameter 1."""
    with ShapeEngineRunner(load_pair(tmp_path, "ball", layout)) as runner:
        (shape,) = runner.shapes(shape_request(tmp_path, format=ShapeFormat(format)))
    mesh = mesh_of(shape, format)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(np.pi / 6, rel=0.01)
    assert np.linalg.norm(mesh.vertices, axis=1) == pytest.approx(0.5, abs=0.01)
    assert mesh.bounds == pytest.approx(np.array([[-0.5] * 3, [0.5] * 3]), abs=0.005)


def test_a_box_is_a_box(tmp_path: Path) -> None:
    """The box fills the unit cube, but for what the grid rounds off at its edges."""
    with ShapeEngineRunner(load_pair(tmp_path, "box")) as runner:
        (shape,) = runner.shapes(shape_request(tmp_path))
    mesh = mesh_of(shape, "glb")
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_colors_are_those_of_the_picture(tmp_path: Path, layout: str) -> None:
    """A red picture makes a red mesh, a blue one a blue mesh; GLB has the color linear, as glTF asks for it."""
    found = {}
    with ShapeEngineRunner(load_pair(tmp_path, "ball", layout)) as runner:
        for name, color in {"red": (220, 30, 30), "blue": (30, 30, 220)}.items():
            data = picture(color)
            (ply,) = runner.shapes(shape_request(tmp_path, data, format=ShapeFormat.PLY))
            (glb,) = runner.shapes(shape_request(tmp_path, data))
            found[name] = first_color(ply)
            linear = first_linear_color(glb)
            assert linear == pytest.approx(((found[name] / 255 + 0.055) / 1.055) ** 2.4, abs=0.002)
    assert found["red"][0] > found["red"][2] + 50
    assert found["blue"][2] > found["blue"][0] + 50


def test_points_repeat_with_their_seed(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """Equal seeds give equal files; the shapes of one request have different points, and no seed gives random ones."""
    image = attached(tmp_path, picture())
    request = shape_request(tmp_path, format=ShapeFormat.JSON, points=200, seed=7, images=(image, image))
    first, second = balls.shapes(request), balls.shapes(request)
    assert [shape.data for shape in first] == [shape.data for shape in second]
    assert first[0].data != first[1].data
    (next_seed,) = balls.shapes(msgspec.structs.replace(request, seed=8, images=(image,)))
    assert next_seed.data == first[1].data
    random = msgspec.structs.replace(request, seed=None)
    assert balls.shapes(random)[0].data != balls.shapes(random)[0].data


def test_points_are_even_on_the_surface(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """Every point is on the ball; each half of it has half of them."""
    (shape,) = balls.shapes(shape_request(tmp_path, format=ShapeFormat.JSON, points=4000, seed=1))
    points = points_of(shape)
    assert (points.shape, shape.points, shape.triangles) == ((4000, 6), 4000, 0)
    assert np.linalg.norm(points[:, :3], axis=1) == pytest.approx(0.5, abs=0.01)
    assert (points[:, :3] > 0).mean(axis=0) == pytest.approx(0.5, abs=0.03)
    assert ((points[:, 3:] >= 0) & (points[:, 3:] <= 255)).all()


@pytest.mark.parametrize("format", ["glb", "ply"])
def test_a_cloud_is_a_file_of_points(balls: ShapeEngineRunner, tmp_path: Path, format: str) -> None:
    """With a number of points, a GLB is a POINTS primitive and a PLY has no faces."""
    (shape,) = balls.shapes(shape_request(tmp_path, format=ShapeFormat(format), points=300, seed=1))
    (cloud,) = trimesh.load_scene(io.BytesIO(shape.data), file_type=format).geometry.values()
    assert isinstance(cloud, trimesh.PointCloud)
    assert cloud.vertices.shape == (300, 3)
    assert cloud.colors.shape[0] == 300


def test_progress_is_complete(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """Each shape has every step once, in order, and its file after the last one; equal pictures are computed once."""
    image, other = attached(tmp_path, picture()), attached(tmp_path, picture((0, 90, 0)), "other.png")
    events = balls.ask(shape_request(tmp_path, images=(image, other, image)))
    assert isinstance(events[0], Admitted)
    steps = [(event.shape_index, event.step) for event in events if isinstance(event, ShapeProgress)]
    every = list(range(1, STEPS + 1))
    assert steps == [(0, step) for step in every] + [(1, step) for step in every] + [(2, STEPS)]
    kinds = [type(event) for event in events if isinstance(event, GeneratedShape | Done)]
    assert kinds == [GeneratedShape] * 3 + [Done]
    shapes = [event for event in events if isinstance(event, GeneratedShape)]
    assert shapes[0].data == shapes[2].data != shapes[1].data


def test_a_finer_grid_has_more_triangles(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """`auto` has twice as many points along each axis as `coarse`, so about four times the triangles."""
    (coarse,) = balls.shapes(shape_request(tmp_path))
    (fine,) = balls.shapes(shape_request(tmp_path, quality=ShapeQuality.AUTO))
    assert fine.triangles / coarse.triangles == pytest.approx(4, rel=0.05)


def test_a_preview_shows_the_shape(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """The picture has eight views of the red ball on a light background; without `has_preview` there is none."""
    (shape,) = balls.shapes(shape_request(tmp_path, has_preview=True))
    with Image.open(io.BytesIO(shape.preview)) as opened:
        pixels = np.asarray(opened).astype(int)
    assert pixels.shape == (EDGE * ROWS, EDGE * COLUMNS, 3)
    for row in range(ROWS):
        for column in range(COLUMNS):
            view = pixels[row * EDGE : (row + 1) * EDGE, column * EDGE : (column + 1) * EDGE]
            middle = view[EDGE // 2 - 20 : EDGE // 2 + 20, EDGE // 2 - 20 : EDGE // 2 + 20]
            assert (middle[..., 0] > middle[..., 2]).all()
            assert (view[:10] > 200).all()
    (plain,) = balls.shapes(shape_request(tmp_path))
    assert plain.preview == b""
    (cloud,) = balls.shapes(shape_request(tmp_path, has_preview=True, points=4096, seed=1))
    assert cloud.preview != shape.preview


def test_two_requests_share_the_engine(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """Two requests at once make progress in turn, and both are completed."""
    ids = [balls.open(shape_request(tmp_path)) for _ in range(2)]
    balls.until(lambda: all(balls.is_over(id) for id in ids))
    assert all(sum(isinstance(event, GeneratedShape) for event in balls.by_request[id]) == 1 for id in ids)


def test_a_canceled_request_ends_within_a_chunk(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """After the cancellation no shape is completed, and the engine answers the next request."""
    id = balls.open(shape_request(tmp_path, quality=ShapeQuality.AUTO))
    balls.until(lambda: any(isinstance(event, ShapeProgress) and event.step > 1 for event in balls.by_request[id]))
    balls.engine.cancel(id)
    assert balls.shapes(shape_request(tmp_path))
    assert not any(isinstance(event, GeneratedShape | Done) for event in balls.by_request[id])
    assert balls.engine.stats().running == 0


def test_a_canceled_request_terminates_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the encoder computes, a cancellation sets what ONNX Runtime looks at between two operations."""
    began, ended = threading.Event(), threading.Event()
    seen: list[bool] = []

    def compute(_: PictureEncoder, picture: Any, options: onnxruntime.RunOptions) -> None:
        began.set()
        while not options.terminate:
            ended.wait(0.01)
        seen.append(True)
        raise RuntimeError("terminated")

    engine = load_pair(tmp_path)
    monkeypatch.setattr(PictureEncoder, "run", compute)
    with ShapeEngineRunner(engine) as runner:
        id = runner.open(shape_request(tmp_path))
        assert began.wait(DEADLINE_S)
        runner.engine.cancel(id)
    assert seen == [True]


@pytest.mark.parametrize("color", [None, (10, 200, 10)])
def test_a_picture_of_nothing_is_refused_by_name(balls: ShapeEngineRunner, tmp_path: Path, color: Any) -> None:
    """A picture that is transparent, or of one color, has no thing in it."""
    written = io.BytesIO()
    Image.new("RGBA" if color is None else "RGB", (64, 64), color or (0, 0, 0, 0)).save(written, "PNG")
    error = balls.error(shape_request(tmp_path, written.getvalue(), field="the_field"))
    assert (error.kind, error.param, error.code) == ("InvalidRequest", "the_field", "empty_image")


def test_a_background_may_be_kept(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """A picture of one color is taken as it is with `keep`."""
    written = io.BytesIO()
    Image.new("RGB", (64, 64), (10, 200, 10)).save(written, "PNG")
    request = shape_request(tmp_path, written.getvalue(), format=ShapeFormat.PLY, background=ShapeBackground.KEEP)
    assert first_color(balls.shapes(request)[0]) == pytest.approx((10, 200, 10), abs=2)


@pytest.mark.parametrize(("thing", "code"), [("nothing", "empty_shape"), ("noise", "unclear_shape")])
def test_a_field_without_a_clear_surface_is_an_error(
    tmp_path: Path, thing: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A field below the level everywhere, and one that crosses it everywhere, are errors that name the picture."""
    monkeypatch.setattr(marching_cubes, "MAX_CUBES", 10_000)
    with ShapeEngineRunner(load_pair(tmp_path, thing)) as runner:
        error = runner.error(shape_request(tmp_path))
    assert (error.kind, error.param, error.code) == ("InvalidRequest", "image", code)


def test_a_file_that_is_too_large_is_an_error(
    balls: ShapeEngineRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what makes a file smaller."""
    monkeypatch.setattr(shape_engine, "FILE_BYTES_MAX", 1000)
    error = balls.error(shape_request(tmp_path))
    assert (error.param, error.code) == ("quality", "shape_too_large")


def test_bad_files_are_refused(balls: ShapeEngineRunner, tmp_path: Path) -> None:
    """What is no picture is an error that names it, before any work."""
    assert balls.error(shape_request(tmp_path, b"no picture")).code == "invalid_image_format"
    assert balls.error(shape_request(tmp_path, picture()[:60])).code == "invalid_image"


def test_other_requests_are_refused(balls: ShapeEngineRunner) -> None:
    """The engine answers only requests for shapes."""
    with pytest.raises(InvalidRequest):
        balls.engine.open(99, EmbeddingRequest(()), 1)


def test_other_graphs_do_not_load(tmp_path: Path) -> None:
    """Graphs in each other's place, a file that is no graph, and a wrong option are refused when the model loads."""
    paths = write_pair(tmp_path)
    (tmp_path / "none.onnx").write_bytes(b"none")
    for files in (
        {"encoder": paths["decoder"], "decoder": paths["decoder"]},
        {"encoder": paths["encoder"], "decoder": paths["encoder"]},
        {"encoder": paths["encoder"], "decoder": tmp_path / "none.onnx"},
    ):
        with pytest.raises(Unavailable):
            load(EngineSpec("shapes", MODEL, attach(files), "digest", {}))
    with pytest.raises(Unavailable, match="threads"):
        load_pair(tmp_path, threads=0)
