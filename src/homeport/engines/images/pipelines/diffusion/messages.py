"""What a worker and its easel say to each other, and how: msgpack over a pipe that keeps messages apart."""

from multiprocessing.connection import Connection

import msgspec


class LoadModel(msgspec.Struct, frozen=True, tag="setup"):
    """Load these files, by role. `loras`: files and how much of each."""

    files: dict[str, str]
    loras: tuple[tuple[str, float], ...] = ()
    threads: int = -1


class RawImage(msgspec.Struct, frozen=True, tag="plate"):
    """Raw RGB rows, or with one channel a mask (255: repaint)."""

    width: int
    height: int
    data: bytes


class GenerateImage(msgspec.Struct, frozen=True, tag="task"):
    """Paint one picture.

    `preview_every`: steps between two previews, 0 for none. `method`: the library's name of it, or "".
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
    """The model is loaded. `kernels`: the library and what it computes with."""

    kernels: str


class StepDone(msgspec.Struct, frozen=True, tag="strode"):
    """A step is done."""

    step: int
    steps: int
    preview: RawImage | None = None


class ImageDone(msgspec.Struct, frozen=True, tag="painted"):
    """The picture is done."""

    image: RawImage


class GenerationFailed(msgspec.Struct, frozen=True, tag="spoilt"):
    """It failed; after a `LoadModel` the process ends."""

    reason: str


Command = LoadModel | GenerateImage
Reply = ModelLoaded | StepDone | ImageDone | GenerationFailed

_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_words: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def send_message(pipe: "Connection[bytes, bytes]", message: Command | Reply) -> None:
    """Send one message. Raises OSError where nobody is at the other end."""
    pipe.send_bytes(_encoder.encode(message))


def receive_command(pipe: "Connection[bytes, bytes]") -> Command:
    """Wait for the worker. Raises EOFError when it is gone."""
    return _orders.decode(pipe.recv_bytes())


def receive_reply(pipe: "Connection[bytes, bytes]") -> Reply:
    """Wait for the easel. Raises EOFError when it is gone."""
    return _words.decode(pipe.recv_bytes())
