"""Reads and encodes the media of prompts with a child process, and keeps the embeddings of recent ones.

Pictures and sound are known by the hash of their file: one that is sent again is neither read nor encoded again while
it is kept. If the child process fails at one, it is started again for the next one. Knows nothing of prompts or tokens.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from homeport.domain.content import ImagePart, MediaPart
from homeport.domain.errors import EngineFailed, ErrorInfo, HomeportError, Unavailable, error_from_info
from homeport.engines.llama.mtmd import MediaPiece
from homeport.engines.text.isolated_process import IsolatedProcess, ProcessStopped
from homeport.engines.text.media.blocks import MediaBlock, MediaContent, media_ids
from homeport.engines.text.media.sounds import SOUND
from homeport.engines.text.prompt_length_limits import Check, no_check

MAX_KEPT_BYTES = 256 << 20
"""Of embeddings: about a hundred pictures for a small model."""
WAIT_S = 600.0
"""Wall-clock time of one picture: a large one takes a large projector minutes on two cores."""

_WORKER = "homeport.engines.text.media.worker"
_PURPOSE = "reads pictures and sound"
_ID_BYTES = 40  # of one id as a Python object
_LOW = "low"


class MediaReader(Protocol):
    """Turns pictures and sound into contents, and computes their embeddings."""

    def read(self, part: MediaPart, check: Check = no_check) -> MediaContent:
        """Return what stands for a picture. Raises InvalidRequest that names the part; EngineFailed."""
        ...

    def encode(self, parts: Sequence[tuple[MediaPart, MediaContent]], check: Check = no_check) -> None:
        """Set the rows of the blocks that have none. Raises EngineFailed."""
        ...

    def close(self) -> None:
        """Free everything."""
        ...


class EncoderFiles(msgspec.Struct, frozen=True):
    """What the child process loads: the text model, its projector, and with how many threads it computes."""

    weights: Path
    projector: Path
    threads: int


class MediaEncoder:
    """The media of one model, whose embeddings have `width` values. Several threads may use it, one at a time.

    `encodes` counts those encoded since the start.
    """

    def __init__(self, files: EncoderFiles, width: int, *, max_kept_bytes: int = MAX_KEPT_BYTES) -> None:
        self._files = files
        self._width = width
        self._max_kept_bytes = max_kept_bytes
        self._lock = threading.Lock()
        self._process: IsolatedProcess | None = None
        self._kept: OrderedDict[bytes, MediaContent] = OrderedDict()
        self._held = b""  # the key of the picture that the process read last
        self.encodes = 0

    def read(self, part: MediaPart, check: Check = no_check) -> MediaContent:
        """Return what stands for a picture, without embeddings unless they are kept.

        Raises InvalidRequest that names the part; EngineFailed and Unavailable if the process fails. `check` is called
        while it waits, and may raise.
        """
        key = _key(part)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            content = _content(key, self._read(key, part, check))
            self._kept[key] = content
            self._drop_oldest()
            return content

    def encode(self, parts: Sequence[tuple[MediaPart, MediaContent]], check: Check = no_check) -> None:
        """Set the rows of the blocks that have none. Raises EngineFailed and Unavailable if the process fails."""
        with self._lock:
            for part, content in parts:
                if any(block.rows is None for block in content.blocks):
                    self._encode(part, content, check)
            self._drop_oldest()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _encode(self, part: MediaPart, content: MediaContent, check: Check) -> None:
        key = _key(part)
        if self._held != key or self._process is None:
            self._read(key, part, check)
        data = self._request({"encode": True}, check)[1]
        rows = np.frombuffer(data, np.float32).reshape(-1, self._width)
        if len(rows) != sum(len(block.ids) for block in content.blocks):
            raise EngineFailed(f"A file was encoded as {len(rows)} embeddings, which is not as many as announced.")
        start = 0
        for block in content.blocks:
            block.rows = rows[start : start + len(block.ids)]
            start += len(block.ids)
        self.encodes += 1

    def _read(self, key: bytes, part: MediaPart, check: Check) -> list[MediaPiece]:
        self._held = b""
        message = {"file": str(_file(part)), "param": part.param}
        message["detail"] = part.detail if isinstance(part, ImagePart) else SOUND
        reply, _ = self._request(message, check)
        self._held = key
        return msgspec.convert(reply["pieces"], list[MediaPiece])

    def _request(self, message: object, check: Check) -> tuple[dict[str, Any], bytes]:
        """Send a message to the process, which is started if it does not run. Whatever fails ends it."""
        if self._process is None or not self._process.is_alive:
            self._end()
            self._start(check)
        return self._exchange(message, check)

    def _exchange(self, message: object, check: Check) -> tuple[dict[str, Any], bytes]:
        process = self._process
        if process is None:
            raise EngineFailed(f"The process that {_PURPOSE} does not run.")
        try:
            reply = process.request(message, check)
            data = process.read(int(reply.get("bytes", 0)))
        except ProcessStopped as error:
            self._end()
            reason = "crashed" if error.is_crash else f"took more than {WAIT_S:.0f} s"
            raise EngineFailed(f"The process that {_PURPOSE} {reason}.") from error
        except BaseException:
            self._end()
            raise
        if "error" in reply:
            raise error_from_info(msgspec.convert(reply["error"], ErrorInfo))
        return reply, data

    def _start(self, check: Check) -> None:
        files = self._files
        self._process = IsolatedProcess(_WORKER, _PURPOSE, WAIT_S)
        try:
            facts, _ = self._exchange(
                {"weights": str(files.weights), "projector": str(files.projector), "threads": files.threads}, check
            )
            if facts["width"] != self._width:
                raise Unavailable(f"{files.projector.name} was made for another model than {files.weights.name}.")
        except HomeportError:
            self._end()
            raise

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()
        self._process, self._held = None, b""

    def _drop_oldest(self) -> None:
        """Keep no more than the limit: requests that use a dropped picture keep its embeddings until they end."""
        size = sum(map(_size, self._kept.values()))
        while size > self._max_kept_bytes and len(self._kept) > 1:
            size -= _size(self._kept.popitem(last=False)[1])


def _key(part: MediaPart) -> bytes:
    """Return the hash of a file and of how it is read."""
    with _file(part).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    if isinstance(part, ImagePart):
        return digest + bytes([part.detail == _LOW])
    return digest + SOUND.encode()


def _file(part: MediaPart) -> Path:
    return (part.image if isinstance(part, ImagePart) else part.audio).local_path


def _content(key: bytes, pieces: Sequence[MediaPiece]) -> MediaContent:
    ids = media_ids(key, sum(piece.n_rows for piece in pieces))
    parts: list[tuple[int, ...] | MediaBlock] = []
    start = 0
    for piece in pieces:
        if not piece.n_rows:
            parts.append(piece.tokens)
            continue
        grid = np.array(piece.grid, np.int32) if piece.grid else None
        parts.append(MediaBlock(ids[start : start + piece.n_rows], piece.n_positions, piece.is_causal, grid))
        start += piece.n_rows
    return MediaContent(tuple(parts))


def _size(content: MediaContent) -> int:
    blocks = content.blocks
    return sum(_ID_BYTES * len(each.ids) + (0 if each.rows is None else each.rows.nbytes) for each in blocks)
