"""Images, and shapes, stored for a limited time as blobs, where several gateways find them. `images` is for one.

Knows nothing of HTTP or the content of images.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from homeport.domain.errors import NotFound
from homeport.domain.images import ImageFormat
from homeport.domain.keys import LOCAL_PROJECT
from homeport.domain.shapes import ShapeFormat
from homeport.store import rows
from homeport.store.blobs import BlobStore
from homeport.store.images import is_expired, new_name

_FOLDER = "pictures"
_SIZES_S = 10.0
"""How long a sum of sizes is used: a bucket is listed slowly."""


class BlobImages:
    """Images in a blob store. `keep_s`, `check`: as of `images.ImageFolder`. `clock`: the wall clock in seconds."""

    def __init__(self, blobs: BlobStore, keep_s: float, clock: Callable[[], float] = time.time) -> None:
        self._blobs = blobs
        self._keep_s = keep_s
        self._clock = clock
        self._guard = threading.Lock()
        self._sizes: Counter[str] = Counter()
        self._sizes_until = float("-inf")
        self.check: Callable[[str, int], None] = lambda _, __: None

    def save(self, data: bytes, format: ImageFormat | ShapeFormat, project: str = LOCAL_PROJECT) -> str:
        """Store an image and return its name. Raises what `check` raises, StorageFull or Unavailable."""
        name = new_name(self._clock() + self._keep_s, format)
        self.check(project, len(data))
        # By name alone, because who asks for an image knows nothing of its project.
        self._blobs.put_bytes(f"{_FOLDER}/{name}/{project}", data)
        with self._guard:
            self._sizes[project] += len(data)
        return name

    def find(self, name: str) -> bytes | None:
        """Return an image by its name; None if it has expired or never existed. Raises Unavailable."""
        if is_expired(name, self._clock()):
            return None
        found = next((path for path, _ in self._blobs.list_sizes(f"{_FOLDER}/{name}")), None)
        try:
            return None if found is None else self._blobs.get_bytes(found)
        except NotFound:
            return None

    def sizes(self) -> Mapping[str, int]:
        """Return the bytes that each project stores, as of a few seconds ago. Raises Unavailable."""
        with self._guard:
            if self._clock() >= self._sizes_until:
                sizes: Counter[str] = Counter()
                for path, n_bytes in self._blobs.list_sizes(_FOLDER):
                    sizes[path.rpartition("/")[2]] += n_bytes
                self._sizes, self._sizes_until = sizes, self._clock() + _SIZES_S
            return dict(self._sizes)

    def sweep(self) -> None:
        """Delete expired images. Raises Unavailable."""
        names = [path for path, _ in self._blobs.list_sizes(_FOLDER)]
        rows.each([name for name in names if is_expired(name.split("/")[1], self._clock())], self._blobs.delete)
