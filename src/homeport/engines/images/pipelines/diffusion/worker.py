"""The process that holds stable-diffusion.cpp: loads a model, paints what it is told, is killed to stop it.

Run with the number of an inherited pipe. Knows nothing of requests, uploads or sizes that fit.
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
"""Above this the autoencoder works in tiles: whole, it would take gigabytes."""
_BEGINS, _ENDS = "generating image", "sampling completed"
"""What the library logs around its steps. Its progress callback also counts tensors that are loaded and tiles."""
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

    def __init__(self, setup: LoadModel, pipe: "Connection[bytes, bytes]") -> None:
        self._pipe = pipe
        self._loras = [{"path": path, "multiplier": weight} for path, weight in setup.loras]
        self._is_stepping = False
        self._preview: RawImage | None = None
        self._last_words: list[str] = []
        params = sd.SDContextParams(vae_decode_only=False, n_threads=setup.threads)
        params.free_params_immediately = False  # a second picture would find its weights gone
        for role, path in setup.files.items():
            setattr(params, _PATHS[role], path)
        self._previews = sd.PreviewMode.TAE if "taesd" in setup.files else sd.PreviewMode.PROJ
        sd.set_log_callback(self._on_log)
        sd.set_progress_callback(self._on_progress)
        try:
            self._context = sd.SDContext(params)
        except Exception as error:
            raise RuntimeError("; ".join(self._last_words) or str(error)) from error

    def generate(self, task: GenerateImage) -> None:
        """Paint, and say so. Raises whatever the library raises."""
        wanted = sd.SDImageGenParams()
        wanted.prompt, wanted.negative_prompt = task.prompt, task.negative
        wanted.width, wanted.height, wanted.seed = task.width, task.height, task.seed
        wanted.strength = task.strength
        wanted.vae_tiling_enabled = task.width * task.height > _TILED_PIXELS
        sampling = wanted.sample_params
        sampling.sample_steps = task.steps
        sampling.cfg_scale = 1.0 if task.is_distilled else task.guidance
        if task.is_distilled:
            sampling.distilled_guidance = task.guidance
        if task.method:
            sampling.sample_method = sd.SampleMethod[task.method]
        if task.image:
            wanted.set_init_image(sd.SDImage.from_numpy(_array(task.image, 3)))
        if task.mask:
            wanted.set_mask_image(sd.SDImage.from_numpy(_array(task.mask, 1)))
        if self._loras:
            wanted.set_loras(self._loras)
        mode = self._previews if task.preview_every else sd.PreviewMode.NONE
        sd.set_preview_callback(self._on_preview if task.preview_every else None, mode, max(1, task.preview_every))
        self._is_stepping, self._preview = False, None
        made = self._context.generate_with_params(wanted)[0].to_numpy()
        send_message(self._pipe, ImageDone(_to_message(made)))

    def _on_log(self, level: int, text: str) -> None:
        if _BEGINS in text:
            self._is_stepping = True
        elif _ENDS in text:
            self._is_stepping = False
        if int(level) >= int(sd.LogLevel.WARN):
            self._last_words = [*self._last_words[-3:], text.strip()]
            sys.stderr.write(f"{text.strip()}\n")

    def _on_progress(self, step: int, steps: int, _: float) -> None:
        if self._is_stepping and step > 0:
            send_message(self._pipe, StepDone(step, steps, self._preview))
            self._preview = None

    def _on_preview(self, _: int, frames: list[sd.SDImage], is_noisy: bool) -> None:
        if frames and not is_noisy:
            self._preview = _to_message(frames[0].to_numpy())  # copied: the library paints over it


def _array(plate: RawImage, channels: int) -> NDArray[np.uint8]:
    return np.frombuffer(plate.data, np.uint8).reshape(plate.height, plate.width, channels).copy()


def _to_message(pixels: NDArray[np.uint8]) -> RawImage:
    return RawImage(pixels.shape[1], pixels.shape[0], np.ascontiguousarray(pixels[..., :3]).tobytes())


def _listen(pipe: "Connection[bytes, bytes]", orders: "queue.SimpleQueue[Command]") -> None:
    """Take orders; end the process when the worker is gone, whatever it is painting."""
    try:
        while True:
            orders.put(receive_command(pipe))
    except (EOFError, OSError):
        os._exit(0)


def main() -> None:
    """Paint until the worker is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.dup2(2, 1)  # what native code prints is no message
    pipe: Connection[bytes, bytes] = Connection(int(sys.argv[1]))
    orders: queue.SimpleQueue[Command] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, orders), daemon=True).start()
    easel: DiffusionWorker | None = None
    while True:
        order = orders.get()
        try:
            if isinstance(order, LoadModel):
                easel = DiffusionWorker(order, pipe)
                send_message(pipe, ModelLoaded("stable-diffusion.cpp (cyllama), cpu"))
            elif easel:
                easel.generate(order)
        except Exception as error:
            send_message(pipe, GenerationFailed(f"{type(error).__name__}: {error}"))
            if easel is None:
                os._exit(1)


if __name__ == "__main__":
    main()
