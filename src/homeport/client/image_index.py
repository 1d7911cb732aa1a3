"""The vectors of a folder's images, kept in a file between searches and compared with the folder before each.

An image is known by the hash of its content, so one that is moved, copied or touched keeps its vector. Knows nothing of
how vectors are made.
"""

import hashlib
import sys
import time
from array import array
from collections.abc import Sequence
from operator import mul
from pathlib import Path
from typing import NamedTuple

import msgspec

from homeport.client.folder_files import SETTLED_NS, FileState, hash_file, list_files
from homeport.formats import atomic

SUFFIXES = frozenset({".gif", ".jpeg", ".jpg", ".png", ".webp"})
_VERSION = 1


class ModelStamp(msgspec.Struct, frozen=True, array_like=True):
    """What tells a model from others, and from another one installed later under its name."""

    name: str
    created: int
    size_bytes: int


class _Image(msgspec.Struct, frozen=True, array_like=True):
    """An image in the index. Either `vector`, as little-endian floats, or `fault` says why there is none."""

    state: FileState
    hashed_ns: int
    sha256: str
    vector: bytes = b""
    fault: str = ""


class _Content(msgspec.Struct, array_like=True):
    version: int
    folder: str
    model: ModelStamp
    images: list[_Image]


class NewImage(msgspec.Struct, frozen=True):
    """An image whose content has no vector yet; `states`: the files with this content."""

    sha256: str
    states: tuple[FileState, ...]
    hashed_ns: int


class FoundImage(NamedTuple):
    """An image that was found. `score`: the cosine of the angle between its vector and the query's."""

    path: str
    score: float


class ImageIndex:
    """The index of one folder for one model. `home`: the data folder, in which it is kept.

    An index of another version or model counts as empty. Any number of processes may read it; of those that write at
    the same time, one succeeds.
    """

    def __init__(self, home: Path, folder: Path, model: ModelStamp) -> None:
        self.folder = folder.resolve()
        self.removed = 0
        self._model = model
        identity = hashlib.sha256(f"{self.folder}\n{model.name}".encode("utf-8", "surrogateescape")).hexdigest()
        self._file = home / "search" / f"{identity[:32]}.index"
        self._images = self._read()

    def __len__(self) -> int:
        """Return the number of images that have vectors."""
        return sum(bool(image.vector) for image in self._images.values())

    @property
    def faults(self) -> list[tuple[str, str]]:
        """The images that have no vector, each with the reason."""
        return [(path, image.fault) for path, image in self._images.items() if image.fault]

    def scan(self) -> list[NewImage]:
        """Compare the index with the folder; return the images that need vectors. Files that are gone are dropped."""
        by_hash = {image.sha256: image for image in self._images.values()}
        kept: dict[str, _Image] = {}
        new: dict[str, NewImage] = {}
        for state in list_files(self.folder, SUFFIXES):
            known = self._images.get(state.path)
            if known and known.state == state and known.hashed_ns - state.changed_ns > SETTLED_NS:
                kept[state.path] = known
                continue
            hashed_ns = time.time_ns()
            try:
                digest = hash_file(self.folder / state.path)
            except OSError:
                continue  # it is gone by now, or not readable
            if twin := by_hash.get(digest):
                kept[state.path] = msgspec.structs.replace(twin, state=state, hashed_ns=hashed_ns)
            else:
                states = (*(new[digest].states if digest in new else ()), state)
                new[digest] = NewImage(digest, states, hashed_ns)
        added = {state.path for image in new.values() for state in image.states}
        self.removed = len(self._images.keys() - kept.keys() - added)
        self._images = kept
        return list(new.values())

    def add(self, image: NewImage, vector: bytes = b"", fault: str = "") -> None:
        """Add an image with its vector, or with the reason why it has none."""
        for state in image.states:
            self._images[state.path] = _Image(state, image.hashed_ns, image.sha256, vector, fault)

    def save(self) -> None:
        """Write the index to its file."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = _Content(_VERSION, str(self.folder), self._model, list(self._images.values()))
        atomic.write_file(self._file, msgspec.msgpack.encode(content), is_durable=False)

    def search(self, query: bytes, count: int) -> list[FoundImage]:
        """Return the images that are nearest to a query's vector, the nearest first."""
        wanted = _floats(query)
        matches = [
            FoundImage(path, sum(map(mul, wanted, _floats(image.vector))))
            for path, image in self._images.items()
            if len(image.vector) == len(query)
        ]
        return sorted(matches, key=lambda match: (-match.score, match.path))[:count]

    def _read(self) -> dict[str, _Image]:
        try:
            content = msgspec.msgpack.decode(self._file.read_bytes(), type=_Content)
        except (OSError, msgspec.DecodeError):  # an index that cannot be read is made again
            return {}
        is_current = (content.version, content.model) == (_VERSION, self._model)
        return {image.state.path: image for image in content.images} if is_current else {}


def _floats(data: bytes) -> Sequence[float]:
    numbers = array("f", data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
