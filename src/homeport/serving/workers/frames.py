"""Length-prefixed msgpack frames (4 bytes of length, big-endian, then one message), and the worker's blocking end.

Knows nothing of asyncio (`link` does) nor of what messages mean. Every framing error is a `LinkBroken`: after it both
sides close the link instead of guessing where the next frame begins.
"""

import socket
import struct
import threading
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from homeport.domain.errors import PayloadTooLarge
from homeport.domain.worker_messages import EngineSpec

T = TypeVar("T")

MAX_COMMAND_BYTES = 64 * 1024 * 1024
"""Default limit of a message to a worker: a request whose body has the gateway's maximum size must fit."""
MAX_REPLY_BYTES = 16 * 1024 * 1024
"""Limit of a message from a worker: the scores of one long echoed prompt must fit."""
STEP_BYTES = 256 * 1024
"""A step's events are split into frames of about this size, so that no frame blocks the gateway's loop for long."""

_LENGTH = struct.Struct(">I")


class LinkBroken(Exception):
    """The bytes on a link are invalid; nothing after them can be trusted."""


class LaunchMessage(msgspec.Struct, frozen=True):
    """A worker's first frame: what to load, the `module:function` that loads it, and the limit of later frames."""

    entry: str
    spec: EngineSpec
    frame_bytes: int = MAX_COMMAND_BYTES


def _encode_path(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} does not cross a link")


def _decode_path(kind: type, value: Any) -> Path:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} does not cross a link")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_path)


def pack(message: msgspec.Struct, limit: int) -> bytes:
    """Encode one message as a frame. Raises PayloadTooLarge if it exceeds `limit` bytes."""
    body = _encoder.encode(message)
    if len(body) > limit:
        name = type(message).__name__
        raise PayloadTooLarge(
            f"A message ({name}) of {len(body)} bytes does not fit the worker's limit of {limit} bytes."
        )
    return _LENGTH.pack(len(body)) + body


class FrameReader(Generic[T]):
    """Decodes messages of one (union) type from bytes cut anywhere. Raises LinkBroken for invalid bytes."""

    def __init__(self, kind: Any, limit: int) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind, dec_hook=_decode_path)
        self._limit = limit
        self._buffer = bytearray()

    def length(self, header: bytes | bytearray) -> int:
        """Return the size of the body that follows a header."""
        (length,) = _LENGTH.unpack(header)
        if not 0 < length <= self._limit:
            raise LinkBroken(f"a frame claims {length} bytes; the limit is {self._limit}")
        return int(length)

    def message(self, body: bytes | bytearray | memoryview) -> T:
        """Decode one body."""
        try:
            return self._decoder.decode(body)
        except (msgspec.DecodeError, ValueError) as error:
            raise LinkBroken(f"a frame does not decode: {error}") from error

    def feed(self, data: bytes) -> list[T]:
        """Add bytes; return the messages that are complete now."""
        self._buffer += data
        messages: list[T] = []
        start = 0
        with memoryview(self._buffer) as buffered:
            while len(buffered) - start >= _LENGTH.size:
                begin = start + _LENGTH.size
                end = begin + self.length(bytes(buffered[start:begin]))
                if end > len(buffered):
                    break
                messages.append(self.message(bytes(buffered[begin:end])))
                start = end
        del self._buffer[:start]
        return messages


class FrameChannel:
    """The worker's end of the link: blocking, one thread receives, any thread sends."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()

    def send(self, message: msgspec.Struct, limit: int | None = None) -> None:
        """Send one whole message. Blocks while the gateway lags. Raises PayloadTooLarge, or OSError if it has ended."""
        frame = pack(message, limit or MAX_REPLY_BYTES)
        with self._sending:
            self._sock.sendall(frame)

    def receive(self, reader: FrameReader[T]) -> T | None:
        """Wait for one message; None if the gateway has ended. Raises LinkBroken."""
        header = self._receive_exactly(_LENGTH.size)
        if header is None:
            return None
        body = self._receive_exactly(reader.length(header))
        return None if body is None else reader.message(body)

    def _receive_exactly(self, size: int) -> bytearray | None:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            try:
                count = self._sock.recv_into(view)
            except ConnectionError:
                return None
            if not count:
                return None
            view = view[count:]
        return data
