"""Runs image requests on a pipeline: checks, seeds, previews and output files.

Requests are checked as they arrive, so that an invalid upload is refused at once. Images are generated one at a time,
one of each request in turn, so that a request for ten does not hold up others. Knows nothing of how a model generates.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from homeport.domain.errors import EngineFailed, HomeportError
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    Failed,
    GeneratedImage,
    ImageProgress,
    Usage,
)
from homeport.domain.images import ImageOutput, ImageRequest
from homeport.domain.models import LoadedModel
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.images import pixels
from homeport.engines.images.edit_input import EditInput
from homeport.engines.images.pipeline import (
    ImagePipeline,
    PipelineInput,
    PipelineStep,
    Pixels,
    RevisedPrompt,
)
from homeport.engines.round_robin import ActiveRequest, RoundRobinEngine, engine_error

_SEEDS = 2**32

logger = logging.getLogger("homeport.images")


def build_engine(spec: EngineSpec, pipeline: ImagePipeline, kernels: str, notes: tuple[str, ...] = ()) -> Engine:
    """Build an engine on a pipeline. `kernels`: a description of what computes."""
    return RoundRobinEngine(LoadedModel(spec.model, kernels=kernels, notes=notes), ImageRequest, ImageWork(pipeline))


class ImageWork:
    """Implements `engines.round_robin.EngineWork`."""

    def __init__(self, pipeline: ImagePipeline) -> None:
        self._pipeline = pipeline
        self._finished: dict[int, int] = {}  # number of finished images by checked request
        self._generating: tuple[int, Iterator[Event | None]] | None = None
        self._last = 0
        self._seeds: dict[int, int] = {}

    def step(self, requests: Sequence[ActiveRequest[ImageRequest]]) -> Iterable[tuple[int, Event]]:
        """Check a request that has just arrived, or run one step of an image."""
        new = next((active for active in requests if active.id not in self._finished), None)
        active = new or self._next(requests)
        try:
            if new:
                return [(new.id, self._admit(new))]
            return [(active.id, event) for event in self._generate(active)]
        except Exception as error:
            if not isinstance(error, HomeportError):
                logger.exception("request %d failed", active.id)
            return [(active.id, Failed(engine_error(error).info))]

    def drop(self, id: int) -> None:
        """Stop generating for a request."""
        if self._generating and self._generating[0] == id:
            self._close_pipeline()
        self._finished.pop(id, None)
        self._seeds.pop(id, None)

    def close(self) -> None:
        """Free the model."""
        self._close_pipeline()
        self._pipeline.close()

    def _next(self, requests: Sequence[ActiveRequest[ImageRequest]]) -> ActiveRequest[ImageRequest]:
        """Return the request whose image is being generated, or else the next one after the last request."""
        if self._generating:
            id = self._generating[0]
            current = next((active for active in requests if active.id == id), None)
            if current:
                return current
            self._close_pipeline()  # it has no credit: the image is started again when there is some
        return next((active for active in requests if active.id > self._last), requests[0])

    def _admit(self, active: ActiveRequest[ImageRequest]) -> Event:
        request = active.request
        # Decoded again when it is generated, so that waiting requests hold no pixels.
        self._pipeline.check(
            _pipeline_input(self._pipeline, request, EditInput.from_request(request, self._pipeline.native_size), 0)
        )
        self._finished[active.id] = 0
        self._seeds[active.id] = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        return Admitted(0)

    def _generate(self, active: ActiveRequest[ImageRequest]) -> list[Event]:
        """Run one step of the request's image."""
        self._last = active.id
        index = self._finished[active.id]
        if self._generating is None:
            seed = (self._seeds[active.id] + index) % _SEEDS
            self._generating = (active.id, _events(self._pipeline, active.request, index, seed))
        event = next(self._generating[1])
        if event is None:
            return []
        if not isinstance(event, GeneratedImage) or event.partial is not None:
            return [event]
        self._generating = None
        self._finished[active.id] = index + 1
        return [event, Done(Usage())] if index + 1 == active.request.n else [event]

    def _close_pipeline(self) -> None:
        if self._generating:
            close = getattr(self._generating[1], "close", None)
            self._generating = None
            if close:
                close()


def _events(pipeline: ImagePipeline, request: ImageRequest, index: int, seed: int) -> Iterator[Event | None]:
    """Iterate over one image's events, the finished image last; None if a step has none."""
    edit = EditInput.from_request(request, pipeline.native_size)
    params = _pipeline_input(pipeline, request, edit, seed)
    n_previews = 0
    revised_prompt: str | None = None
    outputs = pipeline.generate(params)
    try:
        for output in outputs:
            if output is None:
                yield None
            elif isinstance(output, RevisedPrompt):
                revised_prompt = output.text
            elif isinstance(output, PipelineStep):
                if output.preview is not None and n_previews < request.partial_images and output.step < output.steps:
                    preview = edit.composite(pixels.resize(output.preview, edit.size))
                    yield _image(index, preview, request.output, n_previews)
                    n_previews += 1
                yield ImageProgress(index, output.step, output.steps)
            else:
                image = _image(index, edit.composite(pipeline.enlarge(output, edit.size)), request.output, None)
                yield msgspec.structs.replace(image, revised_prompt=revised_prompt)
                return
        raise EngineFailed("The model ended without an image.")
    finally:
        close = getattr(outputs, "close", None)
        if close:
            close()


def _pipeline_input(pipeline: ImagePipeline, request: ImageRequest, edit: EditInput, seed: int) -> PipelineInput:
    size = pipeline.fit_size(edit.size)
    image, mask = edit.at_size(size)
    return PipelineInput(
        prompt=request.prompt,
        size=size,
        seed=seed,
        negative_prompt=request.negative_prompt,
        image=image,
        mask=mask,
        strength=request.strength,
        steps=request.steps,
        effort=request.effort,
        guidance=request.guidance,
        previews=request.partial_images,
    )


def _image(index: int, data: pixels.RgbaPixels | Pixels, output: ImageOutput, partial: int | None) -> GeneratedImage:
    size = pixels.size_of(data)
    return GeneratedImage(index, size.width, size.height, pixels.encode(data, output), partial)
