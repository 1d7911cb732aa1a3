"""The worker's side of stable-diffusion.cpp: sizes, defaults, and the child process that paints.

Knows nothing of the library but its easel's messages.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import Pipe
from pathlib import Path

import numpy as np

from homeport.domain import child_environment
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
from homeport.engines.images.pipelines.diffusion.families import DiffusionFamily, family
from homeport.engines.images.pipelines.diffusion.messages import (
    GenerateImage,
    GenerationFailed,
    ImageDone,
    LoadModel,
    ModelLoaded,
    RawImage,
    Reply,
    StepDone,
    receive_reply,
    send_message,
)

LIBRARY = "cyllama==0.2.18"
"""The package that has it, as the extra `images` pins it."""
_GRID = 64  # pixels: what every family's autoencoder and patches divide
_STEPS_MAX = 150
_STRENGTH = {"edit": 1.0, "image": 0.75, "variation": 0.6}
_POLL_S = 0.5
_RESPONSE_TIMEOUT_S = 3600.0
_WORKER_MODULE = "homeport.engines.images.pipelines.diffusion.worker"
_BOOT = f"import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); from {_WORKER_MODULE} import main; main()"
_LORA = "lora"

logger = logging.getLogger("homeport.images")


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """What a model was made for: `edge` in pixels of the square it paints best, `method` the library's name or ""."""

    edge: int
    steps: int
    guidance: float
    is_distilled: bool
    method: str = ""

    @classmethod
    def from_options(
        cls, found: DiffusionFamily, options: Mapping[str, str | int | float | bool | None]
    ) -> "ModelDefaults":
        """What the catalogue says of the model goes before what its family does."""
        return cls(
            edge=int(options.get("size") or found.edge),
            steps=int(options.get("steps") or found.steps),
            guidance=float(options.get("guidance") or found.guidance),
            is_distilled=found.is_distilled,
            method=str(options.get("method") or ""),
        )


class _WorkerProcess:
    """The easel's process and the pipe to it."""

    def __init__(self, setup: LoadModel) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-P", "-c", _BOOT, str(theirs.fileno()), os.pathsep.join(sys.path)]
            self._process = subprocess.Popen(
                command,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=child_environment.child_environment(),
            )
        send_message(self._pipe, setup)

    def send(self, task: GenerateImage) -> None:
        send_message(self._pipe, task)

    def replies(self) -> Iterator[Reply | None]:
        """What it says; None after each half second of silence. Raises EngineFailed where it is gone or stuck."""
        silent_s = 0.0
        while silent_s < _RESPONSE_TIMEOUT_S:
            try:
                word = receive_reply(self._pipe) if self._pipe.poll(_POLL_S) else None
            except (EOFError, OSError) as error:
                code = self._process.wait()
                raise EngineFailed(f"The process that paints ended with exit code {code}.") from error
            silent_s = 0.0 if word else silent_s + _POLL_S
            yield word
        raise EngineFailed(f"The process that paints said nothing for {_RESPONSE_TIMEOUT_S:g} s.")

    def kill(self) -> None:
        """Kill it and wait until its memory is given back."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()


class DiffusionPipeline:
    """Implements `engines.images.painter.Painter`. Raises Unavailable where the model does not load."""

    def __init__(self, setup: LoadModel, defaults: ModelDefaults) -> None:
        self.kernels = ""
        self._setup = setup
        self._defaults = defaults
        self._child: _WorkerProcess | None = None
        self._is_busy = False
        for _ in self._ensure_loaded():
            continue

    @property
    def native_size(self) -> ImageSize:
        """The square it was made for."""
        return ImageSize(self._defaults.edge, self._defaults.edge)

    def fit_size(self, size: ImageSize) -> ImageSize:
        """As many pixels as its own square has, in the proportions asked for."""
        scale = self._defaults.edge / (size.width * size.height) ** 0.5
        return ImageSize(_to_grid(size.width * scale), _to_grid(size.height * scale))

    def check(self, brief: PipelineInput) -> None:
        """Too many steps, and negative prompts without guidance, are refused."""
        self._task(brief)

    def generate(self, brief: PipelineInput) -> PipelineOutputs:
        """Paint by steps. Closed early, it kills the process; the next picture waits until the model is loaded anew."""
        task = self._task(brief)
        if brief.image is not None and task.strength == 0:
            yield brief.image
            return
        yield from self._ensure_loaded()
        child = self._child
        if child is None:
            raise EngineFailed("The process that paints is gone.")
        is_done = False
        try:
            child.send(task)
            for word in child.replies():
                if isinstance(word, ImageDone | GenerationFailed):
                    is_done = True
                    break
                yield (
                    PipelineStep(word.step, word.steps, _preview_pixels(word.preview))
                    if isinstance(word, StepDone)
                    else None
                )
        finally:
            if not is_done:
                self._discard()
        if isinstance(word, GenerationFailed):
            raise EngineFailed(f"The picture failed: {word.reason}")
        if isinstance(word, ImageDone):
            yield _from_message(word.image)

    def enlarge(self, pixels_: Pixels, size: ImageSize) -> Pixels:
        """The house's way."""
        return pixels.enlarge(pixels_, size)

    def close(self) -> None:
        """End the process."""
        self._discard()

    def _ensure_loaded(self) -> Iterator[None]:
        """Have a process with the model loaded; None while it loads."""
        if self._child:
            return
        child = self._child = _WorkerProcess(self._setup)
        is_standing = False
        try:
            for word in child.replies():
                if isinstance(word, ModelLoaded):
                    self.kernels, is_standing = word.kernels, True
                    return
                if isinstance(word, GenerationFailed):
                    raise Unavailable(f"stable-diffusion.cpp does not load it: {word.reason}")
                yield None
        finally:
            if not is_standing:
                self._discard()

    def _discard(self) -> None:
        if self._child:
            child, self._child = self._child, None
            child.kill()

    def _task(self, brief: PipelineInput) -> GenerateImage:
        """What the easel is told. Raises InvalidRequest."""
        defaults = self._defaults
        steps = max(1, round(defaults.steps * brief.effort)) if brief.steps is None else brief.steps
        if steps > _STEPS_MAX:
            raise InvalidRequest(f"This model takes at most {_STEPS_MAX} steps.", param="steps")
        guidance = defaults.guidance if brief.guidance is None else brief.guidance
        if brief.negative_prompt and (guidance <= 1 or defaults.is_distilled):
            why = "is guided in another way" if defaults.is_distilled else "needs a guidance above 1 for it"
            raise InvalidRequest(f"This model cannot be told what to leave out: it {why}.", param="negative_prompt")
        kind = "variation" if brief.mask is None and not brief.prompt else "image" if brief.mask is None else "edit"
        return GenerateImage(
            prompt=brief.prompt,
            negative=brief.negative_prompt,
            width=brief.size.width,
            height=brief.size.height,
            seed=brief.seed,
            steps=steps,
            guidance=guidance,
            is_distilled=defaults.is_distilled,
            strength=_STRENGTH[kind] if brief.strength is None else brief.strength,
            image=None if brief.image is None else _to_message(brief.image),
            mask=None if brief.mask is None else _to_message(np.where(brief.mask, 255, 0).astype(np.uint8)[..., None]),
            preview_every=max(1, steps // (brief.previews + 1)) if brief.previews else 0,
            method=defaults.method,
        )


def load(job: EngineSpec) -> Engine:
    """Load a model for a worker.

    Files by role: `weights` (a whole checkpoint) or `diffusion`, with text encoders, `vae` or `taesd`; `lora…` are laid
    over it. Options: `threads`; `size`, `steps`, `guidance`, `method` where the model's differ from its family's.
    Raises Unavailable where the library is missing or does not take the files.
    """
    if find_spec("cyllama") is None:
        raise Unavailable(
            f"Diffusion models need stable-diffusion.cpp, which is not installed: run `{sys.executable} -m pip install "
            f"{LIBRARY}` and start the server again. (There is none for Linux on arm64.)"
        )
    setup = load_command(job.paths, job.options)
    main = next((Path(setup.files[role]) for role in ("diffusion", "weights") if role in setup.files), None)
    if main is None:
        raise Unavailable(f"{job.model} has no file with the role `weights` or `diffusion`.")
    found = family(main)
    painter = DiffusionPipeline(setup, ModelDefaults.from_options(found, job.options))
    return engine.engine(job, painter, painter.kernels, (f"{job.model} is a {found.name} model",))


def load_command(files: Mapping[str, Path], options: Mapping[str, str | int | float | bool | None]) -> LoadModel:
    """What the easel is told to load."""
    loras = tuple((str(path), 1.0) for role, path in sorted(files.items()) if role.startswith(_LORA))
    own = {role: str(path) for role, path in files.items() if not role.startswith(_LORA)}
    return LoadModel(own, loras, int(options.get("threads") or -1))


def _to_grid(length: float) -> int:
    return max(_GRID, round(length / _GRID) * _GRID)


def _to_message(image: Pixels) -> RawImage:
    return RawImage(image.shape[1], image.shape[0], np.ascontiguousarray(image).tobytes())


def _from_message(plate: RawImage) -> Pixels:
    return np.frombuffer(plate.data, np.uint8).reshape(plate.height, plate.width, 3)


def _preview_pixels(plate: RawImage | None) -> Pixels | None:
    return None if plate is None else _from_message(plate)
