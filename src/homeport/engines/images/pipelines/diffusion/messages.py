"""The messages between a pipeline and its diffusion worker."""

import msgspec

from homeport.engines.model_process import Failure


class LoadModel(msgspec.Struct, frozen=True, tag="setup"):
    """Load these files, by role. `loras`: files and their weights."""

    files: dict[str, str]
    loras: tuple[tuple[str, float], ...] = ()
    threads: int = -1


class RawImage(msgspec.Struct, frozen=True, tag="plate"):
    """Raw RGB rows, or with one channel a mask (255: generate)."""

    width: int
    height: int
    data: bytes


class GenerateImage(msgspec.Struct, frozen=True, tag="task"):
    """Generate one image.

    `preview_every`: steps between two previews, 0 for none. `method`: the library's name of the sampler, or "".
    """

    prompt: str
    negative: str
    width: int
    height: int
    seed: int
    steps: int
    guidance: float
    is_distilled: bool
    strength: float
    image: RawImage | None = None
    mask: RawImage | None = None
    preview_every: int = 0
    method: str = ""


class ModelLoaded(msgspec.Struct, frozen=True, tag="standing"):
    """The model is loaded. `kernels`: the library and its device."""

    kernels: str


class StepDone(msgspec.Struct, frozen=True, tag="strode"):
    """A step is done."""

    step: int
    steps: int
    preview: RawImage | None = None


class ImageDone(msgspec.Struct, frozen=True, tag="painted"):
    """The image is done."""

    image: RawImage


Command = LoadModel | GenerateImage
Reply = ModelLoaded | StepDone | ImageDone | Failure

COMMANDS: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
REPLIES: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
