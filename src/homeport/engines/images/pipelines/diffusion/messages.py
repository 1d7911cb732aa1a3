"""What a worker and its easel say to each other, and how: msgpack over a pipe that keeps messages apart."""

from multiprocessing.connection import Connection

import msgspec


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """Load these files, by role. `loras`: files and how much of each."""

    files: dict[str, str]
    loras: tuple[tuple[str, float], ...] = ()
    threads: int = -1


class Plate(msgspec.Struct, frozen=True, tag="plate"):
    """Raw RGB rows, or with one channel a mask (255: repaint)."""

    width: int
    height: int
    data: bytes


class Task(msgspec.Struct, frozen=True, tag="task"):
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
    image: Plate | None = None
    mask: Plate | None = None
    preview_every: int = 0
    method: str = ""


class Standing(msgspec.Struct, frozen=True, tag="standing"):
    """The model is loaded. `kernels`: the library and what it computes with."""

    kernels: str


class Strode(msgspec.Struct, frozen=True, tag="strode"):
    """A step is done."""

    step: int
    steps: int
    preview: Plate | None = None


class Painted(msgspec.Struct, frozen=True, tag="painted"):
    """The picture is done."""

    plate: Plate


class Spoilt(msgspec.Struct, frozen=True, tag="spoilt"):
    """It failed; after a `Setup` the process ends."""

    why: str


Order = Setup | Task
Word = Standing | Strode | Painted | Spoilt

_encoder = msgspec.msgpack.Encoder()
_orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
_words: msgspec.msgpack.Decoder[Word] = msgspec.msgpack.Decoder(Word)


def send(pipe: "Connection[bytes, bytes]", message: Order | Word) -> None:
    """Send one message. Raises OSError where nobody is at the other end."""
    pipe.send_bytes(_encoder.encode(message))


def receive_order(pipe: "Connection[bytes, bytes]") -> Order:
    """Wait for the worker. Raises EOFError when it is gone."""
    return _orders.decode(pipe.recv_bytes())


def receive_word(pipe: "Connection[bytes, bytes]") -> Word:
    """Wait for the easel. Raises EOFError when it is gone."""
    return _words.decode(pipe.recv_bytes())
