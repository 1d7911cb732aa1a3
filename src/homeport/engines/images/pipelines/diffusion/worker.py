"""The process that runs stable-diffusion.cpp: it loads a model and generates images; killing it stops an image.

Its argument is the file descriptor of an inherited pipe. Knows nothing of requests, uploads or supported sizes.
"""

import ctypes
import os
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection

import numpy as np
from cyllama import sd
from numpy.typing import NDArray

from homeport.engines.images.pipelines.diffusion.messages import (
    Command,
    GenerateImage,
    GenerationFailed,
    ImageDone,
    LoadModel,
    ModelLoaded,
    RawImage,
    StepDone,
    receive_command,
    send_message,
)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
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

    def __init__(self, load_message: LoadModel, pipe: "Connection[bytes, bytes]") -> None:
        self._pipe = pipe
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
        send_message(self._pipe, ImageDone(_to_message(pixels)))

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
            send_message(self._pipe, StepDone(step, steps, self._preview))
            self._preview = None

    def _on_preview(self, _: int, frames: list[sd.SDImage], is_noisy: bool) -> None:
        if frames and not is_noisy:
            self._preview = _to_message(frames[0].to_numpy())  # copied, because the library overwrites it


def _array(image: RawImage, channels: int) -> NDArray[np.uint8]:
    return np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, channels).copy()


def _to_message(pixels: NDArray[np.uint8]) -> RawImage:
    return RawImage(pixels.shape[1], pixels.shape[0], np.ascontiguousarray(pixels[..., :3]).tobytes())


def _listen(pipe: "Connection[bytes, bytes]", commands: "queue.SimpleQueue[Command]") -> None:
    """Queue commands; end the process at once when the parent process ends."""
    try:
        while True:
            commands.put(receive_command(pipe))
    except (EOFError, OSError):
        os._exit(0)


def main() -> None:
    """Run commands until the parent process ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(2, 1)  # native code's output goes to standard error
    pipe: Connection[bytes, bytes] = Connection(int(sys.argv[1]))
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, commands), daemon=True).start()
    worker: DiffusionWorker | None = None
    while True:
        command = commands.get()
        try:
            if isinstance(command, LoadModel):
                worker = DiffusionWorker(command, pipe)
                send_message(pipe, ModelLoaded("stable-diffusion.cpp (cyllama), cpu"))
            elif worker:
                worker.generate(command)
        except Exception as error:
            send_message(pipe, GenerationFailed(f"{type(error).__name__}: {error}"))
            if worker is None:
                os._exit(1)


if __name__ == "__main__":
    main()
