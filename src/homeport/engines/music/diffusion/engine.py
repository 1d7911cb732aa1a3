"""The music engine of ACE-Step: requests in, encoded recordings out, with a report after each step.

Pieces are generated one after the other; nothing of one can be heard before it is complete. Knows nothing of HTTP, and
of diffusers only the messages of its process.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from homeport.domain.errors import EngineFailed, InvalidRequest, Unavailable
from homeport.domain.events import Admitted, Done, Event, MusicFinished, MusicProgress, Usage
from homeport.domain.models import LoadedModel
from homeport.domain.music import TOKENS_PER_SECOND, MusicRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.audio_encoder import AudioProfile, encoder
from homeport.engines.model_process import Failure, Interrupt, ModelProcess
from homeport.engines.music.diffusion.languages import language_of
from homeport.engines.music.diffusion.messages import (
    REPLIES,
    GenerateMusic,
    Interrupted,
    LoadModel,
    ModelLoaded,
    MusicDone,
    Refused,
    Reply,
    StepDone,
)
from homeport.engines.music.output import BITS_PER_S, USUAL_S, callers_fields, chunks, key_name
from homeport.engines.music.planning import read_key
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine

PIPELINE = "pipeline/"
"""The role of a file is this and its path in the folder that diffusers loads."""
_WORKER_MODULE = "homeport.engines.music.diffusion.worker"
_QUIET_AND_OFFLINE = {"HF_HUB_OFFLINE": "1", "DIFFUSERS_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error"}
_NEEDED = ("torch", "diffusers", "transformers")
_INSTRUMENTAL = "[Instrumental]"  # what the model was trained with instead of lyrics
_SEEDS = 2**32


class DiffusionMusic:
    """A loaded model. Only one recording is generated at a time; other requests wait."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._load_message = LoadModel(str(folder), threads)
        self._process: ModelProcess[Reply] | None = None
        self._is_busy = False
        self._is_stopping = False  # an interrupted recording has not ended yet
        self.kernels, self._rate = "", 0
        for _ in self._ensure_loaded():
            continue

    def make(self, active: ActiveRequest[MusicRequest]) -> Iterator[Event | None]:
        """Iterate over the events of one request. Usage: `TOKENS_PER_SECOND` of music."""
        request = active.request
        commands = [_command(request, (request.seed + index) % _SEEDS) for index in range(request.n)]
        yield Admitted(0)
        seconds = 0.0
        for index, command in enumerate(commands):
            while self._is_busy:
                yield None
            for event in self._piece(index, command, request):
                if isinstance(event, MusicFinished):
                    seconds += event.seconds
                yield event
        yield Done(Usage(0, round(seconds * TOKENS_PER_SECOND)))

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.kill()
            self._process = None

    def _piece(self, index: int, command: GenerateMusic, request: MusicRequest) -> Iterator[Event | None]:
        """Generate one recording. Closing it early interrupts the process at its next step."""
        self._is_busy = True
        is_running = False
        try:
            yield from self._ensure_loaded()
            process = self._running()
            process.send(command)
            is_running = True
            for reply in process.replies():
                if isinstance(reply, StepDone):
                    yield MusicProgress(index, None, 0.0, command.seconds, reply.step, reply.steps)
                elif isinstance(reply, MusicDone | Refused | Failure):
                    is_running = False
                    break
                else:
                    yield None
        except EngineFailed:
            is_running = False
            self.close()
            raise
        finally:
            self._is_busy = False
            if is_running:
                self._interrupt()
        yield from self._result(reply, index, command, request)

    def _result(
        self, reply: Reply | None, index: int, command: GenerateMusic, request: MusicRequest
    ) -> Iterator[Event | None]:
        if isinstance(reply, Refused):
            raise InvalidRequest(reply.reason, param=reply.param)
        if not isinstance(reply, MusicDone):
            reason = reply.reason if isinstance(reply, Failure) else "it has no result"
            raise EngineFailed(f"The music could not be generated: {reason}.")
        samples = np.frombuffer(reply.samples, np.float32).reshape(-1, reply.channels)
        if request.format == "midi":
            raise _no_notes()
        audio = encoder(request.format, AudioProfile(self._rate, reply.channels, BITS_PER_S))
        yield from chunks(audio.feed(samples))
        yield from chunks(audio.end())
        bpm = None if command.bpm is None else float(command.bpm)
        yield MusicFinished(
            index, len(samples) / self._rate, command.seed, request.genre, command.key or None, bpm, None
        )

    def _ensure_loaded(self) -> Iterator[None]:
        """Start a process that loads the model if there is none; wait for what is being stopped. Yields None."""
        if self._process is None:
            self._process, self._is_stopping = ModelProcess(_WORKER_MODULE, REPLIES, _QUIET_AND_OFFLINE), False
            self._process.send(self._load_message)
        elif not self._is_stopping:
            return
        try:
            for reply in self._process.replies():
                if isinstance(reply, ModelLoaded):
                    self.kernels, self._rate = reply.kernels, reply.rate
                    return
                if self._is_stopping and isinstance(reply, Interrupted | MusicDone | Refused | Failure):
                    self._is_stopping = False
                    return
                if isinstance(reply, Failure):
                    raise Unavailable(f"diffusers cannot load the model: {reply.reason}")
                yield None
        except (EngineFailed, Unavailable):
            self.close()
            raise

    def _running(self) -> ModelProcess[Reply]:
        if self._process is None:
            raise EngineFailed("The process that generates music is not running.")
        return self._process

    def _interrupt(self) -> None:
        """Have the recording stop at its next step; the model stays loaded."""
        self._is_stopping = True
        with suppress(EngineFailed):
            self._running().send(Interrupt())


def _command(request: MusicRequest, seed: int) -> GenerateMusic:
    """Return what is generated. Raises InvalidRequest for what this model cannot do."""
    if request.format == "midi":
        raise _no_notes()
    if request.voice is not None:
        raise InvalidRequest("This model has no voices: describe the singer in the prompt.", param="voice")
    with callers_fields(request):
        key = "" if request.key is None else key_name(read_key(request.key))
    return GenerateMusic(
        prompt=f"{request.genre}. {request.prompt}" if request.genre else request.prompt,
        lyrics=request.lyrics or _INSTRUMENTAL,
        language=language_of(request.lyrics),
        seconds=request.seconds or min(USUAL_S, request.max_seconds),
        seed=seed,
        bpm=None if request.bpm is None else round(request.bpm),
        key=key,
    )


def _no_notes() -> InvalidRequest:
    return InvalidRequest(
        "This model makes recordings and knows no notes: choose a format of sound.", param="response_format"
    )


def load(spec: EngineSpec) -> RoundRobinEngine[MusicRequest]:
    """Load ACE-Step. Files by role: `pipeline/` and the path in the folder. Option: `threads`.

    Raises Unavailable if the libraries are missing or cannot load the files.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise Unavailable(
            f"{spec.model} needs the extra `music`, of which {', '.join(missing)} is not installed: run "
            f"`{sys.executable} -m pip install 'homeport[music]'` and restart the server."
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="homeport-music-")))
        link_files(spec.paths, folder)
        music = DiffusionMusic(folder, int(spec.options.get("threads") or 0))
        stack.callback(music.close)
        loaded = LoadedModel(model=spec.model, kernels=music.kernels)
        return RoundRobinEngine(loaded, MusicRequest, GeneratorWork(music.make, stack.pop_all().close))


def link_files(paths: Mapping[str, Path], folder: Path) -> None:
    """Lay a pipeline's files out as diffusers expects them. Raises Unavailable if there are none."""
    inside = {role.removeprefix(PIPELINE): path for role, path in paths.items() if role.startswith(PIPELINE)}
    if "model_index.json" not in inside:
        raise Unavailable("The model has no file `model_index.json`: pull it again.")
    for name, path in inside.items():
        place = folder / name
        if not place.resolve().is_relative_to(folder.resolve()):
            raise Unavailable(f"The model has a file with a path that cannot be used: {name!r}.")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
