"""A painter for the emoji and clip-art model: prompts, pictures and holes, in a second or so on any CPU."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageSize
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.images import engine, pixels
from homeport.engines.images.pipeline import (
    Mask,
    PipelineInput,
    PipelineOutputs,
    PipelineStep,
    Pixels,
)
from homeport.engines.images.pipelines.clipart import postprocessing, sampler
from homeport.engines.images.pipelines.clipart.networks import (
    LATENT,
    SIDE,
    STYLES,
    CaptionEncoder,
    ClipartModel,
    Networks,
)
from homeport.engines.images.pipelines.clipart.pose import DrawingPose, centre_drawing
from homeport.engines.llama import encoder

_STEPS, _STEPS_MAX = 8, 200
_GUIDANCE, _GUIDANCE_AWAY, _GUIDANCE_MAX = 1.0, 1.3, 20.0
_ROUNDING = 0.6  # of a painted pixel
_CAPTION_WEIGHTS = "multilingual-e5-small/weights"


class ClipartPipeline:
    """Implements `engines.images.painter.Painter`.

    `read` makes a caption's vector; `free` is called at the end; `posture` says how a seed puts its drawing down.
    """

    def __init__(
        self,
        networks: ClipartModel,
        read: CaptionEncoder,
        free: Callable[[], None] = lambda: None,
        posture: Callable[..., DrawingPose] = DrawingPose.from_seed,
    ) -> None:
        self._networks, self._read, self._free, self._posture = networks, read, free, posture

    @property
    def native_size(self) -> ImageSize:
        """The one size that the model paints."""
        return ImageSize(SIDE, SIDE)

    def fit_size(self, size: ImageSize) -> ImageSize:
        """The shape of `size`, its shorter side the model's own."""
        short = min(size.width, size.height)
        return ImageSize(round(size.width * SIDE / short), round(size.height * SIDE / short))

    def check(self, brief: PipelineInput) -> None:
        """Steps and guidance beyond what makes sense are refused, and what the model cannot do with a picture."""
        if brief.image is not None and brief.mask is None and brief.prompt:
            raise InvalidRequest(
                "This model edits only where a mask (or a hole in the image) tells it to.", param="mask"
            )
        if brief.strength is not None:
            raise InvalidRequest("This model repaints wholly: it has no strength.", param="strength")
        if brief.steps is not None and brief.steps > _STEPS_MAX:
            raise InvalidRequest(f"This model takes at most {_STEPS_MAX} steps.", param="steps")
        if brief.guidance is not None and brief.guidance > _GUIDANCE_MAX:
            raise InvalidRequest(f"This model takes a guidance of at most {_GUIDANCE_MAX:g}.", param="guidance")

    def generate(self, brief: PipelineInput) -> PipelineOutputs:
        """Walk from noise to the prompt's picture, or one after what is seen in a picture; with a mask only there."""
        route = self._sampler_params(brief)
        shown = _preview_steps(route.steps, brief.previews)
        latents = np.zeros(LATENT, np.float32)
        for step, latents in enumerate(sampler.sample_latents(self._networks, route), 1):
            preview = self._place_on_canvas(latents, brief) if step in shown else None
            yield PipelineStep(step, route.steps, preview)
        yield self._place_on_canvas(latents, brief)

    def enlarge(self, pixels_: Pixels, size: ImageSize) -> Pixels:
        """Contours stay as sharp as in the small picture; what gets no larger is left to the house."""
        own = pixels.size_of(pixels_)
        if size.width <= own.width or size.height <= own.height:
            return pixels.resize(pixels_, size)
        return postprocessing.upscale_contours(pixels_, size, rounding=_ROUNDING)

    def close(self) -> None:
        """Free what reads captions."""
        self._free()

    def _sampler_params(self, brief: PipelineInput) -> sampler.FlowSamplerParams:
        steps = brief.steps or max(1, round(_STEPS * brief.effort))
        start = hole = seen = None
        if brief.image is not None and brief.mask is not None:
            start, hole = self._networks.encode(_pad_to_square(brief.image))[0], _latent_mask(brief.mask)
        elif brief.image is not None:
            seen = self._networks.encode(centre_drawing(_pad_to_square(brief.image)))[1]
        usual = _GUIDANCE if not brief.negative_prompt else _GUIDANCE_AWAY
        return sampler.FlowSamplerParams(
            steps=steps,
            guidance=usual if brief.guidance is None else brief.guidance,
            seed=brief.seed,
            positive_vector=self._read(brief.prompt) if brief.prompt else seen,
            negative_vector=self._read(brief.negative_prompt) if brief.negative_prompt else None,
            initial_latents=start,
            mask=hole,
            style=STYLES[brief.seed % len(STYLES)],  # neighbours differ at a glance
        )

    def _place_on_canvas(self, latents: NDArray[np.float32], brief: PipelineInput) -> Pixels:
        """The picture at the brief's size: in the middle of white; for a hole, where the source was in the square."""
        posture = self._posture(brief.seed, faces_either_way=not brief.prompt)
        made = posture.apply(postprocessing.clean(self._networks.decode(latents)))
        wide, high = brief.size.width, brief.size.height
        if brief.mask is not None:
            inner, left, top = _inner_box(brief.size)
            cut = made[top : top + inner.height, left : left + inner.width]
            return pixels.resize(cut, brief.size)
        canvas = np.full((high, wide, 3), 255, np.uint8)
        left, top = (wide - SIDE) // 2, (high - SIDE) // 2
        canvas[top : top + SIDE, left : left + SIDE] = made
        return canvas


def load(job: EngineSpec) -> Engine:
    """Load the model for a worker.

    Files by role: `step`, `decoder`, `encoder`, and the weights of multilingual-e5-small. Options: `threads`, `library`
    (the kernels for the captions).
    """
    threads = int(job.options.get("threads") or 0)
    library = job.options.get("library")
    captions = encoder.load(
        job.paths[_CAPTION_WEIGHTS],
        encoder.EncoderOptions(threads=threads or None, library=Path(str(library)) if library else None),
    )
    painter = ClipartPipeline(Networks(job.paths, threads), E5CaptionEncoder(captions), captions.close)
    note = f"{job.model} is a small model of emoji and clip art"
    return engine.engine(job, painter, f"onnxruntime {onnxruntime.__version__}", (note,))


class E5CaptionEncoder:
    """Captions to vectors, by the embedding model that training used; of long ones, as much as its window holds."""

    def __init__(self, captions: encoder.EmbeddingEncoder) -> None:
        self._captions = captions

    def __call__(self, caption: str) -> NDArray[np.float32]:
        """A vector of length 1, (384,)."""
        ids = self._captions.tokenize(f"query: {caption}")
        if len(ids) > self._captions.window:
            ids = [*ids[: self._captions.window - 1], ids[-1]]
        return np.asarray(self._captions.encode([ids])[0])


def _inner_box(size: ImageSize) -> tuple[ImageSize, int, int]:
    """How large a picture of `size` is inside the model's square, and its left and top there."""
    long = max(size.width, size.height)
    wide, high = max(1, round(size.width * SIDE / long)), max(1, round(size.height * SIDE / long))
    return ImageSize(wide, high), (SIDE - wide) // 2, (SIDE - high) // 2


def _pad_to_square(image: Pixels) -> Pixels:
    inner, left, top = _inner_box(pixels.size_of(image))
    square = np.full((SIDE, SIDE, 3), 255, np.uint8)
    square[top : top + inner.height, left : left + inner.width] = pixels.resize(image, inner)
    return square


def _latent_mask(mask: Mask) -> Mask:
    """The mask over the latents' 8 x 8 places: a place is repainted if any pixel of it is."""
    inner, left, top = _inner_box(ImageSize(mask.shape[1], mask.shape[0]))
    square = np.zeros((SIDE, SIDE), np.bool_)
    square[top : top + inner.height, left : left + inner.width] = pixels.mask_at(mask, inner)
    rows, columns = LATENT[1:]
    cells = square.reshape(rows, SIDE // rows, columns, SIDE // columns)
    return np.asarray(cells.any(axis=(1, 3)), dtype=np.bool_)


def _preview_steps(steps: int, previews: int) -> frozenset[int]:
    """After which steps a preview is shown: evenly spread, never the last."""
    return frozenset(max(1, round(steps * (index + 1) / (previews + 1))) for index in range(previews)) - {steps}
