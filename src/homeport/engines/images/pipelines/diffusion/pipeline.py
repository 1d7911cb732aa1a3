"""The pipeline for diffusion models: sizes, defaults, and the child process that runs stable-diffusion.cpp.

Knows nothing of the library except the messages of the diffusion worker.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.domain.images import ImageSize
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.images import engine, pixels
from homeport.engines.images.pipeline import (
    PipelineInput,
    PipelineOutputs,
    PipelineStep,
    Pixels,
)
from homeport.engines.images.pipelines.diffusion.families import DiffusionFamily, detect_family
from homeport.engines.images.pipelines.diffusion.messages import (
    REPLIES,
    GenerateImage,
    ImageDone,
    LoadModel,
    ModelLoaded,
    RawImage,
    Reply,
    StepDone,
)
from homeport.engines.model_process import Failure, ModelProcess

LIBRARY = "cyllama==0.2.18"
"""The package of the library, with the version that the extra `images` pins."""
_GRID = 64  # pixels: sizes must be multiples of this for every family's autoencoder and patches
_STEPS_MAX = 150
_STRENGTH = {"edit": 1.0, "image": 0.75, "variation": 0.6}
_WORKER_MODULE = "homeport.engines.images.pipelines.diffusion.worker"
_LORA = "lora"

logger = logging.getLogger("homeport.images")


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """A model's defaults: `edge` of the native square, in pixels; `method`: the library's name of the sampler or ""."""

    edge: int
    steps: int
    guidance: float
    is_distilled: bool
    method: str = ""

    @classmethod
    def from_options(
        cls, family: DiffusionFamily, options: Mapping[str, str | int | float | bool | None]
    ) -> "ModelDefaults":
        """Return the options, which come from the catalogue, with the family's values for missing ones."""
        return cls(
            edge=int(options.get("size") or family.edge),
            steps=int(options.get("steps") or family.steps),
            guidance=float(options.get("guidance") or family.guidance),
            is_distilled=family.is_distilled,
            method=str(options.get("method") or ""),
        )


class DiffusionPipeline:
    """Implements `engines.images.pipeline.ImagePipeline`. Raises Unavailable if the model does not load."""

    def __init__(self, load_message: LoadModel, defaults: ModelDefaults) -> None:
        self.kernels = ""
        self._load_message = load_message
        self._defaults = defaults
        self._child: ModelProcess[Reply] | None = None
        self._is_busy = False
        for _ in self._ensure_loaded():
            continue

    @property
    def native_size(self) -> ImageSize:
        """The native square of the model's family."""
        return ImageSize(self._defaults.edge, self._defaults.edge)

    def fit_size(self, size: ImageSize) -> ImageSize:
        """Return a size with the aspect ratio of `size` and as many pixels as the native square."""
        scale = self._defaults.edge / (size.width * size.height) ** 0.5
        return ImageSize(_to_grid(size.width * scale), _to_grid(size.height * scale))

    def check(self, params: PipelineInput) -> None:
        """Refuse too many steps, and negative prompts without guidance. Raises InvalidRequest."""
        self._task(params)

    def generate(self, params: PipelineInput) -> PipelineOutputs:
        """Generate in steps. Closing it early kills the process; the next image waits until the model is reloaded."""
        task = self._task(params)
        if params.image is not None and task.strength == 0:
            yield params.image
            return
        yield from self._ensure_loaded()
        child = self._child
        if child is None:
            raise EngineFailed("The diffusion worker is not running.")
        is_done = False
        try:
            child.send(task)
            for reply in child.replies():
                if isinstance(reply, ImageDone | Failure):
                    is_done = True
                    break
                yield (
                    PipelineStep(reply.step, reply.steps, _preview_pixels(reply.preview))
                    if isinstance(reply, StepDone)
                    else None
                )
        finally:
            if not is_done:
                self._discard()
        if isinstance(reply, Failure):
            raise EngineFailed(f"Image generation failed: {reply.reason}")
        if isinstance(reply, ImageDone):
            yield _from_message(reply.image)

    def enlarge(self, pixels_: Pixels, size: ImageSize) -> Pixels:
        """Resize with `pixels.enlarge`."""
        return pixels.enlarge(pixels_, size)

    def close(self) -> None:
        """End the process."""
        self._discard()

    def _ensure_loaded(self) -> Iterator[None]:
        """Start a process that loads the model if there is none; yields None while it loads."""
        if self._child:
            return
        child = self._child = ModelProcess(_WORKER_MODULE, REPLIES)
        is_loaded = False
        try:
            child.send(self._load_message)
            for reply in child.replies():
                if isinstance(reply, ModelLoaded):
                    self.kernels, is_loaded = reply.kernels, True
                    return
                if isinstance(reply, Failure):
                    raise Unavailable(f"stable-diffusion.cpp cannot load the model: {reply.reason}")
                yield None
        finally:
            if not is_loaded:
                self._discard()

    def _discard(self) -> None:
        if self._child:
            child, self._child = self._child, None
            child.kill()

    def _task(self, params: PipelineInput) -> GenerateImage:
        """Return the command for the diffusion worker. Raises InvalidRequest."""
        defaults = self._defaults
        steps = max(1, round(defaults.steps * params.effort)) if params.steps is None else params.steps
        if steps > _STEPS_MAX:
            raise InvalidRequest(f"This model supports at most {_STEPS_MAX} steps.", param="steps")
        guidance = defaults.guidance if params.guidance is None else params.guidance
        if params.negative_prompt and (guidance <= 1 or defaults.is_distilled):
            remedy = "leave it out" if defaults.is_distilled else "set a guidance above 1, or leave it out"
            message = f"This model does not support 'negative_prompt' here: {remedy}."
            raise InvalidRequest(message, param="negative_prompt")
        kind = "variation" if params.mask is None and not params.prompt else "image" if params.mask is None else "edit"
        return GenerateImage(
            prompt=params.prompt,
            negative=params.negative_prompt,
            width=params.size.width,
            height=params.size.height,
            seed=params.seed,
            steps=steps,
            guidance=guidance,
            is_distilled=defaults.is_distilled,
            strength=_STRENGTH[kind] if params.strength is None else params.strength,
            image=None if params.image is None else _to_message(params.image),
            mask=None
            if params.mask is None
            else _to_message(np.where(params.mask, 255, 0).astype(np.uint8)[..., None]),
            preview_every=max(1, steps // (params.previews + 1)) if params.previews else 0,
            method=defaults.method,
        )


def load(spec: EngineSpec) -> Engine:
    """Load a model for a worker.

    Files by role: `weights` (a whole checkpoint) or `diffusion`, with text encoders, `vae` or `taesd`; `lora…` are
    applied to it. Options: `threads`; `size`, `steps`, `guidance`, `method` if the model's differ from its family's.
    Raises Unavailable if the library is missing or cannot load the files.
    """
    if find_spec("cyllama") is None:
        raise Unavailable(
            f"Diffusion models need stable-diffusion.cpp, which is not installed: run `{sys.executable} -m pip install "
            f"{LIBRARY}` and restart the server. (It is not available for Linux on arm64.)"
        )
    load_message = load_command(spec.paths, spec.options)
    main = next(
        (Path(load_message.files[role]) for role in ("diffusion", "weights") if role in load_message.files), None
    )
    if main is None:
        raise Unavailable(f"{spec.model} has no file with the role `weights` or `diffusion`.")
    detected = detect_family(main)
    pipeline = DiffusionPipeline(load_message, ModelDefaults.from_options(detected, spec.options))
    return engine.build_engine(spec, pipeline, pipeline.kernels, (f"{spec.model} is a {detected.name} model",))


def load_command(files: Mapping[str, Path], options: Mapping[str, str | int | float | bool | None]) -> LoadModel:
    """Return the command that loads a model."""
    loras = tuple((str(path), 1.0) for role, path in sorted(files.items()) if role.startswith(_LORA))
    own = {role: str(path) for role, path in files.items() if not role.startswith(_LORA)}
    return LoadModel(own, loras, int(options.get("threads") or -1))


def _to_grid(length: float) -> int:
    return max(_GRID, round(length / _GRID) * _GRID)


def _to_message(image: Pixels) -> RawImage:
    return RawImage(image.shape[1], image.shape[0], np.ascontiguousarray(image).tobytes())


def _from_message(image: RawImage) -> Pixels:
    return np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)


def _preview_pixels(image: RawImage | None) -> Pixels | None:
    return None if image is None else _from_message(image)
