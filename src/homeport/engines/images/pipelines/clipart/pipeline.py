"""The pipeline of the emoji and clip-art model: generation, edits and variations, in about a second on any CPU."""

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
    RevisedPrompt,
)
from homeport.engines.images.pipelines.clipart import composer, postprocessing, sampler
from homeport.engines.images.pipelines.clipart.networks import (
    LATENT,
    SIDE,
    STYLES,
    CaptionEncoder,
    ClipartModel,
    Floats,
    Networks,
)
from homeport.engines.images.pipelines.clipart.planner import DrawingPlan, DrawingPlanner, Planner
from homeport.engines.images.pipelines.clipart.pose import DrawingPose, center_drawing
from homeport.engines.images.pipelines.clipart.scene import PromptScene
from homeport.engines.images.pipelines.clipart.vocabulary import DrawingVocabulary
from homeport.engines.llama import encoder

_STEPS, _STEPS_MAX = 8, 200
_GUIDANCE, _NEGATIVE_GUIDANCE, _GUIDANCE_MAX = 1.0, 1.3, 20.0
_ROUNDING = 0.6  # of a generated pixel
_CAPTION_WEIGHTS = "multilingual-e5-small/weights"


class ClipartPipeline:
    """Implements `engines.images.pipeline.ImagePipeline`.

    `encode_caption` embeds a caption; `free` is called at the end; `pose` chooses a drawing's pose by the seed.
    `planner`: finds the things in a prompt; without one, a prompt is one drawing.
    """

    def __init__(
        self,
        networks: ClipartModel,
        encode_caption: CaptionEncoder,
        free: Callable[[], None] = lambda: None,
        pose: Callable[..., DrawingPose] = DrawingPose.from_seed,
        planner: Planner | None = None,
    ) -> None:
        self._networks, self._encode_caption, self._free, self._pose = networks, encode_caption, free, pose
        self._planner = planner

    @property
    def native_size(self) -> ImageSize:
        """The only size that the model generates."""
        return ImageSize(SIDE, SIDE)

    def fit_size(self, size: ImageSize) -> ImageSize:
        """Return a size with the aspect ratio of `size`, its shorter side the model's own."""
        short = min(size.width, size.height)
        return ImageSize(round(size.width * SIDE / short), round(size.height * SIDE / short))

    def check(self, params: PipelineInput) -> None:
        """Refuse too many steps, too much guidance, and edits that the model cannot do. Raises InvalidRequest."""
        if params.image is not None and params.mask is None and params.prompt:
            raise InvalidRequest(
                "This model edits only masked areas: send a mask or an image with transparent pixels.", param="mask"
            )
        if params.strength is not None:
            raise InvalidRequest("This model does not support 'strength': leave it out.", param="strength")
        if params.steps is not None and params.steps > _STEPS_MAX:
            raise InvalidRequest(f"This model supports at most {_STEPS_MAX} steps.", param="steps")
        if params.guidance is not None and params.guidance > _GUIDANCE_MAX:
            raise InvalidRequest(f"This model supports a guidance of at most {_GUIDANCE_MAX:g}.", param="guidance")

    def generate(self, params: PipelineInput) -> PipelineOutputs:
        """Sample an image of the prompt, or one like the given image; with a mask only there.

        A prompt with several things is composed from a drawing of each.
        """
        plan = self._plan(params)
        if plan.revised_prompt is not None:
            yield RevisedPrompt(plan.revised_prompt)
        scene, sampler_params = plan.scene, self._sampler_params(params, plan.vectors)
        preview_steps = _preview_steps(sampler_params.steps, params.previews)
        latents = np.zeros((1, *LATENT), np.float32)
        for step, latents in enumerate(sampler.sample_latents(self._networks, sampler_params), 1):
            preview = self._picture(latents, params, scene) if step in preview_steps else None
            yield PipelineStep(step, sampler_params.steps, preview)
        yield self._picture(latents, params, scene)

    def enlarge(self, pixels_: Pixels, size: ImageSize) -> Pixels:
        """Resize with contours as sharp as in the small image; reduce with `pixels.resize`."""
        own = pixels.size_of(pixels_)
        if size.width <= own.width or size.height <= own.height:
            return pixels.resize(pixels_, size)
        return postprocessing.upscale_contours(pixels_, size, rounding=_ROUNDING)

    def close(self) -> None:
        """Free the caption encoder."""
        self._free()

    def _plan(self, params: PipelineInput) -> DrawingPlan:
        """Return what to draw: of a mask's area the prompt as it is, of an image alone the likely caption."""
        if params.prompt and params.image is None and self._planner is not None:
            return self._planner.plan(params.prompt)
        if params.prompt:
            return DrawingPlan(self._encode_caption(params.prompt)[None])
        if params.image is not None and params.mask is None:
            return DrawingPlan(self._networks.encode(center_drawing(_pad_to_square(params.image)))[1][None])
        return DrawingPlan(None)

    def _sampler_params(self, params: PipelineInput, vectors: Floats | None) -> sampler.FlowSamplerParams:
        steps = params.steps or max(1, round(_STEPS * params.effort))
        initial_latents = mask = None
        if params.image is not None and params.mask is not None:
            initial_latents, mask = self._networks.encode(_pad_to_square(params.image))[0], _latent_mask(params.mask)
        guidance = _GUIDANCE if not params.negative_prompt else _NEGATIVE_GUIDANCE
        return sampler.FlowSamplerParams(
            steps=steps,
            guidance=guidance if params.guidance is None else params.guidance,
            seed=params.seed,
            positive_vectors=vectors,
            negative_vector=self._encode_caption(params.negative_prompt) if params.negative_prompt else None,
            initial_latents=initial_latents,
            mask=mask,
            style=STYLES[params.seed % len(STYLES)],  # so that consecutive seeds look different
        )

    def _picture(self, latents: Floats, params: PipelineInput, scene: PromptScene | None) -> Pixels:
        """Return the image of the latents (n, *LATENT): one drawing, or a scene composed of several."""
        if scene is None:
            return self._place_on_canvas(latents[0], params)
        drawings = [postprocessing.clean(self._networks.decode(each)) for each in latents]
        return composer.compose(scene, drawings, composer.scene_size(params.size), params.seed).pixels

    def _place_on_canvas(self, latents: Floats, params: PipelineInput) -> Pixels:
        """Return the image at the requested size: centered on white, or with a mask cut to where the source was."""
        pose = self._pose(params.seed, faces_either_way=not params.prompt)
        drawing = pose.apply(postprocessing.clean(self._networks.decode(latents)))
        width, height = params.size.width, params.size.height
        if params.mask is not None:
            inner, left, top = _inner_box(params.size)
            cut = drawing[top : top + inner.height, left : left + inner.width]
            return pixels.resize(cut, params.size)
        canvas = np.full((height, width, 3), 255, np.uint8)
        left, top = (width - SIDE) // 2, (height - SIDE) // 2
        canvas[top : top + SIDE, left : left + SIDE] = drawing
        return canvas


def load(spec: EngineSpec) -> Engine:
    """Load the model for a worker.

    Files by role: `step`, `decoder`, `encoder`, and the weights of multilingual-e5-small. Options: `threads`, `library`
    (the kernels for the captions).
    """
    threads = int(spec.options.get("threads") or 0)
    library = spec.options.get("library")
    captions = encoder.load(
        spec.paths[_CAPTION_WEIGHTS],
        encoder.EncoderOptions(threads=threads or None, library=Path(str(library)) if library else None),
    )
    encode = E5CaptionEncoder(captions)
    planner = DrawingPlanner(DrawingVocabulary.load(), encode)
    pipeline = ClipartPipeline(Networks(spec.paths, threads), encode, captions.close, planner=planner)
    note = f"{spec.model} is a small model of emoji and clip art"
    return engine.build_engine(spec, pipeline, f"onnxruntime {onnxruntime.__version__}", (note,))


class E5CaptionEncoder:
    """Embeds captions with the embedding model that training used; long ones are cut to its window."""

    def __init__(self, captions: encoder.EmbeddingEncoder) -> None:
        self._captions = captions

    def __call__(self, caption: str) -> NDArray[np.float32]:
        """Return a vector of length 1, (384,)."""
        ids = self._captions.tokenize(f"query: {caption}")
        if len(ids) > self._captions.window:
            ids = [*ids[: self._captions.window - 1], ids[-1]]
        return np.asarray(self._captions.encode([ids])[0])


def _inner_box(size: ImageSize) -> tuple[ImageSize, int, int]:
    """Return the size of an image of `size` inside the model's square, and its left and top there."""
    long = max(size.width, size.height)
    wide, high = max(1, round(size.width * SIDE / long)), max(1, round(size.height * SIDE / long))
    return ImageSize(wide, high), (SIDE - wide) // 2, (SIDE - high) // 2


def _pad_to_square(image: Pixels) -> Pixels:
    inner, left, top = _inner_box(pixels.size_of(image))
    square = np.full((SIDE, SIDE, 3), 255, np.uint8)
    square[top : top + inner.height, left : left + inner.width] = pixels.resize(image, inner)
    return square


def _latent_mask(mask: Mask) -> Mask:
    """Return the mask over the latents' 8 x 8 places: true if any pixel of a place is masked."""
    inner, left, top = _inner_box(ImageSize(mask.shape[1], mask.shape[0]))
    square = np.zeros((SIDE, SIDE), np.bool_)
    square[top : top + inner.height, left : left + inner.width] = pixels.mask_at(mask, inner)
    rows, columns = LATENT[1:]
    cells = square.reshape(rows, SIDE // rows, columns, SIDE // columns)
    return np.asarray(cells.any(axis=(1, 3)), dtype=np.bool_)


def _preview_steps(steps: int, previews: int) -> frozenset[int]:
    """Return the steps that have a preview: evenly spread, never the last."""
    return frozenset(max(1, round(steps * (index + 1) / (previews + 1))) for index in range(previews)) - {steps}
