"""Image requests: queue, seeds, previews, cancellation and failures, on a pipeline that the test controls."""

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
    RevisedPrompt,
)
from tests.engines.images.engine_runner import ImageEngineRunner

STEPS = 3


class ControlledPipeline:
    """Generates images of one color, the seed; a closed gate holds it before each step."""

    native_size = ImageSize(64, 64)

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.started: list[PipelineInput] = []
        self.dropped: list[PipelineInput] = []
        self.is_closed = False

    def fit_size(self, size: ImageSize) -> ImageSize:
        return self.native_size

    def check(self, params: PipelineInput) -> None:
        if params.steps is not None and params.steps > 100:
            raise InvalidRequest("too many", param="steps")

    def generate(self, params: PipelineInput) -> PipelineOutputs:
        self.started.append(params)
        is_done = False
        try:
            for step in range(1, STEPS + 1):
                while not self.gate.wait(0.01):
                    yield None
                if params.prompt == "break":
                    raise RuntimeError("the pipeline broke")
                if params.prompt == "a dog and a cat" and step == 1:
                    yield RevisedPrompt("a dog")
                yield PipelineStep(step, STEPS, self._image(params) if params.previews else None)
            is_done = True
            if params.prompt != "nothing":
                yield self._image(params)
        finally:
            if not is_done:
                self.dropped.append(params)

    def enlarge(self, pixels_: Pixels, size: ImageSize) -> Pixels:
        return pixels.enlarge(pixels_, size)

    def close(self) -> None:
        self.is_closed = True

    def _image(self, params: PipelineInput) -> Pixels:
        return np.full((params.size.height, params.size.width, 3), params.seed % 256, np.uint8)


@pytest.fixture
def pipeline() -> ControlledPipeline:
    return ControlledPipeline()


@pytest.fixture
def running(pipeline: ControlledPipeline) -> Iterator[ImageEngineRunner]:
    spec = EngineSpec("scripted", "pipeline", {}, "d", {})
    with ImageEngineRunner(engine.build_engine(spec, pipeline, kernels="the test")) as runner:
        yield runner
    assert pipeline.is_closed


def color(generated: GeneratedImage) -> int:
    """Return the color of an image of one color."""
    with Image.open(io.BytesIO(generated.data)) as read:
        return int(np.asarray(read)[0, 0, 0])


def test_each_image_has_its_own_seed(running: ImageEngineRunner) -> None:
    """Seeds count up from the requested one; the same seed gives the same image."""
    for _ in range(2):
        result = running.ask(ImageRequest("x", n=3, seed=7))
        assert [(each.image_index, color(each)) for each in result.images] == [(0, 7), (1, 8), (2, 9)]
    assert color(running.ask(ImageRequest("x", n=2, seed=2**32 - 1)).images[1]) == 0


def test_without_a_seed_it_is_random(running: ImageEngineRunner, pipeline: ControlledPipeline) -> None:
    """Two requests without a seed differ."""
    for _ in range(2):
        running.ask(ImageRequest("x"))
    assert pipeline.started[0].seed != pipeline.started[1].seed


def test_the_order_of_events(running: ImageEngineRunner) -> None:
    """Steps count from 1, images from 0; images have the requested size and format."""
    result = running.ask(ImageRequest("x", n=2, size=ImageSize(128, 64), output=ImageOutput(ImageFormat.JPEG, 80)))
    assert isinstance(result.events[0], Admitted)
    assert isinstance(result.events[-1], Done)
    assert [(each.image_index, each.step, each.steps) for each in result.progress] == [
        (index, step, STEPS) for index in (0, 1) for step in (1, 2, 3)
    ]
    assert {(each.width, each.height) for each in result.images} == {(128, 64)}
    with Image.open(io.BytesIO(result.images[0].data)) as read:
        assert (read.format, read.size) == ("JPEG", (128, 64))


def test_there_are_as_many_previews_as_requested(running: ImageEngineRunner) -> None:
    """There are as many previews as requested, numbered, at the output size, before the last step."""
    result = running.ask(ImageRequest("x", size=ImageSize(128, 128), partial_images=1))
    assert [(each.partial, each.width) for each in result.partials] == [(0, 128)]
    assert len(running.ask(ImageRequest("x", partial_images=3)).partials) == STEPS - 1


def test_previews_of_an_edit_are_composited(running: ImageEngineRunner, tmp_path: Path) -> None:
    """Previews of an edit have the source's own pixels outside the mask."""
    source = np.random.default_rng(5).integers(0, 256, (64, 64, 4), np.uint8)
    source[..., 3] = 255
    source[:20, :, 3] = 0
    Image.fromarray(source).save(tmp_path / "a.png")
    result = running.ask(
        ImageRequest("x", source=ImageSource(Attachment(tmp_path / "a.png")), partial_images=1, seed=200)
    )
    for each in (*result.partials, *result.images):
        with Image.open(io.BytesIO(each.data)) as read:
            result_pixels = np.asarray(read)
        assert (result_pixels[20:] == source[20:, :, :3]).all()
        assert (result_pixels[:20] == 200).all()


def test_requests_take_turns(running: ImageEngineRunner, pipeline: ControlledPipeline) -> None:
    """One image of each request is generated in turn, so that ten of one do not hold up others."""
    pipeline.gate.clear()
    many = running.open(ImageRequest("many", n=3, seed=1))
    running.until(lambda: running.by_request[many].is_admitted)
    one = running.open(ImageRequest("one", seed=1))
    running.until(lambda: running.by_request[one].is_admitted)
    pipeline.gate.set()
    running.wait(many)
    running.wait(one)
    assert [params.prompt for params in pipeline.started].index("one") <= 1


def test_an_invalid_request_is_refused_while_another_is_generated(
    running: ImageEngineRunner, pipeline: ControlledPipeline, tmp_path: Path
) -> None:
    """A check waits for one step at most, not for an image."""
    pipeline.gate.clear()
    first = running.open(ImageRequest("x"))
    running.until(lambda: running.by_request[first].is_admitted)
    (tmp_path / "a.png").write_bytes(b"not an image")
    assert running.ask(ImageRequest("x", source=ImageSource(Attachment(tmp_path / "a.png")))).error.param == "image"
    assert running.ask(ImageRequest("x", steps=101)).error.param == "steps"
    pipeline.gate.set()
    assert running.wait(first).images


def test_a_canceled_request_stops_within_its_step(running: ImageEngineRunner, pipeline: ControlledPipeline) -> None:
    """Generation stops, no more events are emitted, and the next request is computed."""
    pipeline.gate.clear()
    canceled = running.open(ImageRequest("canceled", n=10))
    running.until(lambda: running.by_request[canceled].is_admitted)
    running.engine.cancel(canceled)
    waiting = running.open(ImageRequest("next"))
    running.until(lambda: running.by_request[waiting].is_admitted)
    pipeline.gate.set()
    assert running.wait(waiting).images
    assert [params.prompt for params in pipeline.dropped] in ([], ["canceled"])
    assert not running.by_request[canceled].images
    assert len([params for params in pipeline.started if params.prompt == "canceled"]) <= 1


@pytest.mark.parametrize("prompt", ["break", "nothing"])
def test_a_failure_ends_its_request_only(running: ImageEngineRunner, prompt: str) -> None:
    """The caller gets an error without internals, and the next image works."""
    error = running.ask(ImageRequest(prompt)).error
    assert error.kind == "EngineFailed"
    assert "pipeline broke" not in error.message
    assert running.ask(ImageRequest("x")).images


def test_another_kind_of_request_is_refused(running: ImageEngineRunner) -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequest) as refused:
        running.engine.open(99, TextRequest((TextPrompt("x"),)), 10)
    assert refused.value.param == "model"


def test_closing_ends_the_generation(pipeline: ControlledPipeline) -> None:
    """Closing also ends an image that would never be finished."""
    pipeline.gate.clear()
    spec = EngineSpec("scripted", "pipeline", {}, "d", {})
    with ImageEngineRunner(engine.build_engine(spec, pipeline, kernels="the test")) as runner:
        id = runner.open(ImageRequest("x"))
        runner.until(lambda: runner.by_request[id].is_admitted)
    assert pipeline.is_closed


def test_what_is_drawn_instead_of_the_prompt_is_said(running: ImageEngineRunner) -> None:
    """Each finished image has its revised prompt; partial images and those of other prompts have none."""
    found = running.ask(ImageRequest("a dog and a cat", n=2, partial_images=1))
    assert [image.revised_prompt for image in found.images] == ["a dog", "a dog"]
    assert [image.revised_prompt for image in found.partials] == [None, None]
    assert len(found.progress) == 2 * STEPS
    assert [image.revised_prompt for image in running.ask(ImageRequest("a dog")).images] == [None]
