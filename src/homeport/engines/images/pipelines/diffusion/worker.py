"""The process that runs stable-diffusion.cpp: it loads a model and generates images; killing it stops an image.

Knows nothing of requests, uploads or supported sizes.
"""

import sys

import numpy as np
from cyllama import sd
from numpy.typing import NDArray

from homeport.engines.images.pipelines.diffusion.messages import (
    COMMANDS,
    Command,
    GenerateImage,
    ImageDone,
    LoadModel,
    ModelLoaded,
    RawImage,
    StepDone,
)
from homeport.engines.model_process import ReplyPipe, run_commands

_TILED_PIXELS = 512 * 512
"""Above this the autoencoder works in tiles: otherwise it would need gigabytes."""
_SAMPLING_STARTS, _SAMPLING_ENDS = "generating image", "sampling completed"
"""Log lines before and after the steps. The progress callback also counts loaded tensors and tiles."""
_PATHS = {
    "weights": "model_path",
    "diffusion": "diffusion_model_path",
    "clip_l": "clip_l_path",
    "clip_g": "clip_g_path",
    "t5xxl": "t5xxl_path",
    "llm": "llm_path",
    "vae": "vae_path",
    "taesd": "taesd_path",
}


class DiffusionWorker:
    """One loaded model."""

    def __init__(self, load_message: LoadModel, replies: ReplyPipe) -> None:
        self._replies = replies
        self._loras = [{"path": path, "multiplier": weight} for path, weight in load_message.loras]
        self._is_stepping = False
        self._preview: RawImage | None = None
        self._warnings: list[str] = []
        params = sd.SDContextParams(vae_decode_only=False, n_threads=load_message.threads)
        params.free_params_immediately = False  # the weights are needed for the next image
        for role, path in load_message.files.items():
            setattr(params, _PATHS[role], path)
        self._previews = sd.PreviewMode.TAE if "taesd" in load_message.files else sd.PreviewMode.PROJ
        sd.set_log_callback(self._on_log)
        sd.set_progress_callback(self._on_progress)
        try:
            self._context = sd.SDContext(params)
        except Exception as error:
            raise RuntimeError("; ".join(self._warnings) or str(error)) from error

    def generate(self, task: GenerateImage) -> None:
        """Generate an image and send it. Raises what the library raises."""
        params = sd.SDImageGenParams()
        params.prompt, params.negative_prompt = task.prompt, task.negative
        params.width, params.height, params.seed = task.width, task.height, task.seed
        params.strength = task.strength
        params.vae_tiling_enabled = task.width * task.height > _TILED_PIXELS
        sampling = params.sample_params
        sampling.sample_steps = task.steps
        sampling.cfg_scale = 1.0 if task.is_distilled else task.guidance
        if task.is_distilled:
            sampling.distilled_guidance = task.guidance
        if task.method:
            sampling.sample_method = sd.SampleMethod[task.method]
        if task.image:
            params.set_init_image(sd.SDImage.from_numpy(_array(task.image, 3)))
        if task.mask:
            params.set_mask_image(sd.SDImage.from_numpy(_array(task.mask, 1)))
        if self._loras:
            params.set_loras(self._loras)
        mode = self._previews if task.preview_every else sd.PreviewMode.NONE
        sd.set_preview_callback(self._on_preview if task.preview_every else None, mode, max(1, task.preview_every))
        self._is_stepping, self._preview = False, None
        pixels = self._context.generate_with_params(params)[0].to_numpy()
        self._replies.send(ImageDone(_to_message(pixels)))

    def _on_log(self, level: int, text: str) -> None:
        if _SAMPLING_STARTS in text:
            self._is_stepping = True
        elif _SAMPLING_ENDS in text:
            self._is_stepping = False
        if int(level) >= int(sd.LogLevel.WARN):
            self._warnings = [*self._warnings[-3:], text.strip()]
            sys.stderr.write(f"{text.strip()}\n")

    def _on_progress(self, step: int, steps: int, _: float) -> None:
        if self._is_stepping and step > 0:
            self._replies.send(StepDone(step, steps, self._preview))
            self._preview = None

    def _on_preview(self, _: int, frames: list[sd.SDImage], is_noisy: bool) -> None:
        if frames and not is_noisy:
            self._preview = _to_message(frames[0].to_numpy())  # copied, because the library overwrites it


def _array(image: RawImage, channels: int) -> NDArray[np.uint8]:
    return np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, channels).copy()


def _to_message(pixels: NDArray[np.uint8]) -> RawImage:
    return RawImage(pixels.shape[1], pixels.shape[0], np.ascontiguousarray(pixels[..., :3]).tobytes())


def _load(command: Command, replies: ReplyPipe) -> DiffusionWorker:
    if not isinstance(command, LoadModel):
        raise TypeError("The first command must load a model.")
    worker = DiffusionWorker(command, replies)
    replies.send(ModelLoaded("stable-diffusion.cpp (cyllama), cpu"))
    return worker


def _run(worker: DiffusionWorker, command: Command) -> None:
    if isinstance(command, GenerateImage):
        worker.generate(command)


def main() -> None:
    """Run commands until the parent process ends."""
    run_commands(COMMANDS, _load, _run)
