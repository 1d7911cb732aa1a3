"""The messages between a pipeline and its diffusion worker: msgpack over a pipe that separates messages."""

from multiprocessing.connection import Connection

import msgspec


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


class GenerationFailed(msgspec.Struct, frozen=True, tag="spoilt"):
    """The command failed; after a failed `LoadModel` the process ends."""

    reason: str


Command = LoadModel | GenerateImage
Reply = ModelLoaded | StepDone | ImageDone | GenerationFailed

_encoder = msgspec.msgpack.Encoder()
_command_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_reply_decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def send_message(pipe: "Connection[bytes, bytes]", message: Command | Reply) -> None:
    """Send one message. Raises OSError if the other end is closed."""
    pipe.send_bytes(_encoder.encode(message))


def receive_command(pipe: "Connection[bytes, bytes]") -> Command:
    """Wait for a command. Raises EOFError if the other process has ended."""
    return _command_decoder.decode(pipe.recv_bytes())


def receive_reply(pipe: "Connection[bytes, bytes]") -> Reply:
    """Wait for a reply. Raises EOFError if the other process has ended."""
    return _reply_decoder.decode(pipe.recv_bytes())
