"""The messages between the engine and the process that runs ACE-Step."""

import msgspec

from homeport.engines.model_process import Failure, Interrupt


class LoadModel(msgspec.Struct, frozen=True, tag="load"):
    """Load the pipeline of this folder. `threads`: of the CPU, 0 for PyTorch's own choice."""

    folder: str
    threads: int = 0


class GenerateMusic(msgspec.Struct, frozen=True, tag="generate"):
    """Generate one recording. `language` of the lyrics, as `en`. None and "": the model decides."""

    prompt: str
    lyrics: str
    language: str
    seconds: float
    seed: int
    bpm: int | None = None
    key: str = ""


class ModelLoaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The model is loaded. `kernels`: the libraries and the device; `rate`: samples a second."""

    kernels: str
    rate: int


class StepDone(msgspec.Struct, frozen=True, tag="step"):
    """Step `step` of `steps` is done, counted from 1."""

    step: int
    steps: int


class MusicDone(msgspec.Struct, frozen=True, tag="music"):
    """The recording: float32 samples in -1 to 1, `channels` interleaved."""

    channels: int
    samples: bytes


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The model cannot read the field `param` of the command."""

    param: str
    reason: str


class Interrupted(msgspec.Struct, frozen=True, tag="interrupted"):
    """The command was interrupted; it has no result."""


Command = LoadModel | GenerateMusic | Interrupt
Reply = ModelLoaded | StepDone | MusicDone | Refused | Interrupted | Failure

COMMANDS: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
REPLIES: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
