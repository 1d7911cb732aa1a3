"""Requests in a studio: queue, seeds, previews, cancelling, failures, on a painter that can be held up."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from homeport.domain.content import Attachment
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted, Done, GeneratedImage
from homeport.domain.images import (
    ImageFormat,
    ImageOutput,
    ImageRequest,
    ImageSize,
    ImageSource,
)
from homeport.domain.text import TextPrompt, TextRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.images import engine, pixels
from homeport.engines.images.pipeline import (
    PipelineInput,
    PipelineOutputs,
    PipelineStep,
    Pixels,
)
from tests.engines.images.engine_runner import ImageEngineRunner

STEPS = 3


class Brush:
    """Paints a plane whose colour is the seed; a gate that is shut holds it before each step."""

    native_size = ImageSize(64, 64)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun: list[PipelineInput] = []
        self.dropped: list[PipelineInput] = []
        self.is_closed = False

    def fit_size(self, size: ImageSize) -> ImageSize:
        return self.native_size

    def check(self, brief: PipelineInput) -> None:
        if brief.steps is not None and brief.steps > 100:
            raise InvalidRequest("too many", param="steps")

    def generate(self, brief: PipelineInput) -> PipelineOutputs:
        self.begun.append(brief)
        is_done = False
        try:
            for step in range(1, STEPS + 1):
                while not self.gate.wait(0.01):
                    yield None
                if brief.prompt == "break":
                    raise RuntimeError("the brush broke")
                yield PipelineStep(step, STEPS, self._plane(brief) if brief.previews else None)
            is_done = True
            if brief.prompt != "nothing":
                yield self._plane(brief)
        finally:
            if not is_done:
                self.dropped.append(brief)

    def enlarge(self, pixels_: Pixels, size: ImageSize) -> Pixels:
        return pixels.enlarge(pixels_, size)

    def close(self) -> None:
        self.is_closed = True

    def _plane(self, brief: PipelineInput) -> Pixels:
        return np.full((brief.size.height, brief.size.width, 3), brief.seed % 256, np.uint8)


@pytest.fixture
def brush() -> Brush:
    return Brush()


@pytest.fixture
def running(brush: Brush) -> Iterator[ImageEngineRunner]:
    job = EngineSpec("scripted", "brush", {}, "d", {})
    with ImageEngineRunner(engine.engine(job, brush, kernels="a hand")) as made:
        yield made
    assert brush.is_closed


def colour(picture: GeneratedImage) -> int:
    """A plane's colour."""
    with Image.open(io.BytesIO(picture.data)) as read:
        return int(np.asarray(read)[0, 0, 0])


def test_each_picture_has_a_seed_of_its_own(running: ImageEngineRunner) -> None:
    """Counted up from the one asked for; the same again gives the same."""
    for _ in range(2):
        said = running.ask(ImageRequest("x", n=3, seed=7))
        assert [(each.image_index, colour(each)) for each in said.pictures] == [(0, 7), (1, 8), (2, 9)]
    assert colour(running.ask(ImageRequest("x", n=2, seed=2**32 - 1)).pictures[1]) == 0


def test_without_a_seed_it_is_a_fresh_one(running: ImageEngineRunner, brush: Brush) -> None:
    """Two requests are not alike."""
    for _ in range(2):
        running.ask(ImageRequest("x"))
    assert brush.begun[0].seed != brush.begun[1].seed


def test_the_order_is_admitted_steps_picture_done(running: ImageEngineRunner) -> None:
    """Steps count from 1, pictures from 0; the answer has the size and the format asked for."""
    said = running.ask(ImageRequest("x", n=2, size=ImageSize(128, 64), output=ImageOutput(ImageFormat.JPEG, 80)))
    assert isinstance(said.events[0], Admitted)
    assert isinstance(said.events[-1], Done)
    assert [(each.image_index, each.step, each.steps) for each in said.progress] == [
        (index, step, STEPS) for index in (0, 1) for step in (1, 2, 3)
    ]
    assert {(each.width, each.height) for each in said.pictures} == {(128, 64)}
    with Image.open(io.BytesIO(said.pictures[0].data)) as read:
        assert (read.format, read.size) == ("JPEG", (128, 64))


def test_looks_are_as_many_as_asked_for(running: ImageEngineRunner) -> None:
    """Before the last step, each with its number, at the answer's size."""
    said = running.ask(ImageRequest("x", size=ImageSize(128, 128), partial_images=1))
    assert [(each.partial, each.width) for each in said.partials] == [(0, 128)]
    assert len(running.ask(ImageRequest("x", partial_images=3)).partials) == STEPS - 1


def test_looks_at_an_edit_keep_what_is_kept(running: ImageEngineRunner, tmp_path: Path) -> None:
    """Also unfinished, the source's own pixels stand outside the hole."""
    source = np.random.default_rng(5).integers(0, 256, (64, 64, 4), np.uint8)
    source[..., 3] = 255
    source[:20, :, 3] = 0
    Image.fromarray(source).save(tmp_path / "a.png")
    said = running.ask(
        ImageRequest("x", source=ImageSource(Attachment(tmp_path / "a.png")), partial_images=1, seed=200)
    )
    for each in (*said.partials, *said.pictures):
        with Image.open(io.BytesIO(each.data)) as read:
            made = np.asarray(read)
        assert (made[20:] == source[20:, :, :3]).all()
        assert (made[:20] == 200).all()


def test_requests_paint_in_turns(running: ImageEngineRunner, brush: Brush) -> None:
    """One picture of each, so that ten of one hold nobody up for long."""
    brush.gate.clear()
    many = running.open(ImageRequest("many", n=3, seed=1))
    running.until(lambda: running.said[many].is_admitted)
    one = running.open(ImageRequest("one", seed=1))
    running.until(lambda: running.said[one].is_admitted)
    brush.gate.set()
    running.wait(many)
    running.wait(one)
    assert [brief.prompt for brief in brush.begun].index("one") <= 1


def test_a_bad_request_is_told_while_another_is_painted(
    running: ImageEngineRunner, brush: Brush, tmp_path: Path
) -> None:
    """Checks wait for a step at most, not for a picture."""
    brush.gate.clear()
    first = running.open(ImageRequest("x"))
    running.until(lambda: running.said[first].is_admitted)
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert running.ask(ImageRequest("x", source=ImageSource(Attachment(tmp_path / "a.png")))).fault.param == "image"
    assert running.ask(ImageRequest("x", steps=101)).fault.param == "steps"
    brush.gate.set()
    assert running.wait(first).pictures


def test_a_cancelled_request_stops_within_its_step(running: ImageEngineRunner, brush: Brush) -> None:
    """The painting is closed, nothing more is said, and the next request is painted."""
    brush.gate.clear()
    gone = running.open(ImageRequest("gone", n=10))
    running.until(lambda: running.said[gone].is_admitted)
    running.engine.cancel(gone)
    waiting = running.open(ImageRequest("next"))
    running.until(lambda: running.said[waiting].is_admitted)
    brush.gate.set()
    assert running.wait(waiting).pictures
    assert [brief.prompt for brief in brush.dropped] in ([], ["gone"])
    assert not running.said[gone].pictures
    assert len([brief for brief in brush.begun if brief.prompt == "gone"]) <= 1


@pytest.mark.parametrize("prompt", ["break", "nothing"])
def test_a_failure_ends_its_request_alone(running: ImageEngineRunner, prompt: str) -> None:
    """The caller is told, nothing of the inside, and the next picture works."""
    fault = running.ask(ImageRequest(prompt)).fault
    assert fault.kind == "EngineFailed"
    assert "brush broke" not in fault.message
    assert running.ask(ImageRequest("x")).pictures


def test_another_kind_of_request_is_refused(running: ImageEngineRunner) -> None:
    """With the field at fault."""
    with pytest.raises(InvalidRequest) as refused:
        running.engine.open(99, TextRequest((TextPrompt("x"),)), 10)
    assert refused.value.param == "model"


def test_closing_ends_what_is_painted(brush: Brush) -> None:
    """Also in the middle of a picture that never ends."""
    brush.gate.clear()
    job = EngineSpec("scripted", "brush", {}, "d", {})
    with ImageEngineRunner(engine.engine(job, brush, kernels="a hand")) as made:
        id = made.open(ImageRequest("x"))
        made.until(lambda: made.said[id].is_admitted)
    assert brush.is_closed
