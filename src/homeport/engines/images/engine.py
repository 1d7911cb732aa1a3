"""Pictures for requests, one at a time, on whatever paints: queue, seeds, previews, finish.

Requests are checked as they come, so that a bad upload is told at once; pictures are painted in turns, one of each
request, so that ten of one hold nobody up for long. Knows nothing of how a model paints.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator, Sequence

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
)
from homeport.engines.round_robin import ActiveRequest, RoundRobinEngine

_SEEDS = 2**32

logger = logging.getLogger("homeport.images")


def engine(job: EngineSpec, painter: ImagePipeline, kernels: str, notes: tuple[str, ...] = ()) -> Engine:
    """The engine that lets this painter work for requests. `kernels`: what computes, in words."""
    return RoundRobinEngine(LoadedModel(job.model, kernels=kernels, notes=notes), ImageRequest, ImageWork(painter))


class ImageWork:
    """Implements `engines.turns.Work`."""

    def __init__(self, painter: ImagePipeline) -> None:
        self._painter = painter
        self._begun: set[int] = set()
        self._pictures: dict[int, int] = {}  # how many of a request are finished
        self._painting: tuple[int, Iterator[Event | None]] | None = None
        self._last = 0
        self._seeds: dict[int, int] = {}

    def step(self, requests: Sequence[ActiveRequest[ImageRequest]]) -> Iterable[tuple[int, Event]]:
        """Check a request that has just come, or do one step of a picture."""
        fresh = next((turn for turn in requests if turn.id not in self._begun), None)
        turn = fresh or self._next(requests)
        try:
            if fresh:
                return [(fresh.id, self._admit(fresh))]
            return [(turn.id, event) for event in self._paint(turn)]
        except Exception as error:
            if not isinstance(error, HomeportError):
                logger.exception("request %d failed", turn.id)
                error = EngineFailed(f"The engine broke down because of an internal error: {type(error).__name__}.")
            return [(turn.id, Failed(error.info))]

    def drop(self, id: int) -> None:
        """Stop painting for a request."""
        if self._painting and self._painting[0] == id:
            self._close_pipeline()
        self._begun.discard(id)
        self._pictures.pop(id, None)
        self._seeds.pop(id, None)

    def close(self) -> None:
        """Free the model."""
        self._close_pipeline()
        self._painter.close()

    def _next(self, turns: Sequence[ActiveRequest[ImageRequest]]) -> ActiveRequest[ImageRequest]:
        """The request whose picture is under way; else the one after the request that had the last."""
        if self._painting:
            id = self._painting[0]
            current = next((turn for turn in turns if turn.id == id), None)
            if current:
                return current
            self._close_pipeline()  # its reader is behind: the picture is begun again when there is credit
        return next((turn for turn in turns if turn.id > self._last), turns[0])

    def _admit(self, turn: ActiveRequest[ImageRequest]) -> Event:
        self._begun.add(turn.id)
        request = turn.request
        # Decoded again when its turn comes: requests that wait hold no pixels.
        self._painter.check(
            _pipeline_input(self._painter, request, EditInput.from_request(request, self._painter.native_size), 0)
        )
        self._pictures[turn.id] = 0
        self._seeds[turn.id] = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        return Admitted(0)

    def _paint(self, turn: ActiveRequest[ImageRequest]) -> list[Event]:
        """Go one step on with the request's picture."""
        self._last = turn.id
        index = self._pictures[turn.id]
        if self._painting is None:
            seed = (self._seeds[turn.id] + index) % _SEEDS
            self._painting = (turn.id, _events(self._painter, turn.request, index, seed))
        event = next(self._painting[1])
        if event is None:
            return []
        if not isinstance(event, GeneratedImage) or event.partial is not None:
            return [event]
        self._painting = None
        self._pictures[turn.id] = index + 1
        return [event, Done(Usage())] if index + 1 == turn.request.n else [event]

    def _close_pipeline(self) -> None:
        if self._painting:
            close = getattr(self._painting[1], "close", None)
            self._painting = None
            if close:
                close()


def _events(painter: ImagePipeline, request: ImageRequest, index: int, seed: int) -> Iterator[Event | None]:
    """One picture's events, the finished picture last; None where there is nothing to tell yet."""
    scene = EditInput.from_request(request, painter.native_size)
    brief = _pipeline_input(painter, request, scene, seed)
    shown = 0
    painting = painter.generate(brief)
    try:
        for told in painting:
            if told is None:
                yield None
            elif isinstance(told, PipelineStep):
                if told.preview is not None and shown < request.partial_images and told.step < told.steps:
                    looks = scene.composite(pixels.resize(told.preview, scene.size))
                    yield _picture(index, looks, request.output, shown)
                    shown += 1
                yield ImageProgress(index, told.step, told.steps)
            else:
                yield _picture(index, scene.composite(painter.enlarge(told, scene.size)), request.output, None)
                return
        raise EngineFailed("The model ended without a picture.")
    finally:
        close = getattr(painting, "close", None)
        if close:
            close()


def _pipeline_input(painter: ImagePipeline, request: ImageRequest, scene: EditInput, seed: int) -> PipelineInput:
    size = painter.fit_size(scene.size)
    image, mask = scene.at_size(size)
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


def _picture(index: int, made: pixels.RgbaPixels | Pixels, finish: ImageOutput, partial: int | None) -> GeneratedImage:
    size = pixels.size_of(made)
    return GeneratedImage(index, size.width, size.height, pixels.encode(made, finish), partial)
