"""The images that one request's JSON holds or names, and the files that a worker reads them from.

Reading a body only registers images; `save` makes the files, when everything else of the body is checked. Only workers
decode pixels. Knows nothing of messages or of models.
"""

import asyncio
import functools
import io
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from homeport.api.data_url import check_encoded_size, check_image_url, decode_image, decode_image_url, is_remote
from homeport.api.image_inputs.checks import check_image
from homeport.domain import validation
from homeport.domain.content import Attachment, ImagePart
from homeport.domain.errors import InvalidRequest
from homeport.domain.ports.remote_images import RemoteImageFailed, RemoteImages

MAX_IMAGES = 64
"""How many images one prompt may have."""
MAX_IMAGE_BYTES = 20_000_000
MAX_TOTAL_BYTES = 64_000_000
"""The maximum size of all images of one prompt."""
MAX_URL_CHARS = 20_971_520
"""OpenAI's limit for the URL of an image."""
DETAILS = ("auto", "low", "high", "original")

_PARALLEL_FETCHES = 4

CheckModel = Callable[[str, str], None]
"""Raises InvalidRequest for a part, by its place and its type, unless the request's model sees images."""
CopyFile = Callable[[str, Path, str, int], None]
"""Copies an uploaded image, by its id, to a path, if it has at most a number of bytes.

Raises NotFound, and InvalidRequest, both naming the given field."""


class ImageSource(NamedTuple):
    """Where an image comes from: a URL, the id of an uploaded file, or base64. Exactly one is not empty."""

    url: str = ""
    file_id: str = ""
    data: str = ""


class ImagePlace(NamedTuple):
    """What errors name: the part, its type, and its fields with the image and its detail.

    `is_earlier`: the part is not of this request, and may not become a part of the prompt.
    """

    part: str
    kind: str
    source: str
    detail: str
    is_earlier: bool = False


class ImageInputs:
    """The images of one request, as a context that deletes their files at its end.

    Their folder, within `spool`, is created with the first file. `copy_file` None: this server has no files; `remote`
    None: nothing is fetched. `max_bytes`: of one image.
    """

    def __init__(
        self,
        spool: Path,
        check_model: CheckModel,
        copy_file: CopyFile | None = None,
        remote: RemoteImages | None = None,
        max_bytes: int = MAX_IMAGE_BYTES,
    ) -> None:
        self._spool = spool
        self._check_model = check_model
        self._copy_file = copy_file
        self._remote = remote
        self._max_bytes = max_bytes
        self._parts: dict[ImageSource, ImagePart] = {}
        self._places: dict[ImageSource, ImagePlace] = {}
        self._sizes: dict[ImageSource, int] = {}
        self._has_folder = False
        self._n_named = 0

    @property
    def is_empty(self) -> bool:
        """Whether no image was registered."""
        return not self._parts

    @functools.cached_property
    def _folder(self) -> Path:
        return self._spool / uuid.uuid4().hex

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._has_folder:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def add(self, source: ImageSource, place: ImagePlace, detail: str | None = None) -> ImagePart:
        """Register an image, and return what a worker will see. Images of the same source share a file.

        Nothing is decoded, read or fetched. Raises InvalidRequest naming the part or a field of it; for an earlier one
        `select` does.
        """
        if not place.is_earlier:
            self._check(source, place)
        validation.check_choice(place.detail, detail, DETAILS)
        known = self._parts.get(source)
        if known is not None:
            return ImagePart(known.image, detail or "auto", place.source)
        file = self._folder / f"image_{self._n_named}"
        self._n_named += 1
        part = ImagePart(Attachment(file), detail or "auto", place.source)
        self._parts[source], self._places[source] = part, place
        return part

    def select(self, parts: Iterable[ImagePart], param: str) -> None:
        """Keep only the images that a prompt has after all. `param` names all of them.

        Raises InvalidRequest for too many, and for an earlier one that cannot be used.
        """
        files = [part.image for part in parts]
        if len(files) > MAX_IMAGES:
            raise InvalidRequest(
                f"Invalid '{param}': too many images. A prompt may have at most {MAX_IMAGES} images.",
                param=param,
                code="array_above_max_length",
            )
        kept = set(files)
        for source, part in list(self._parts.items()):
            if part.image in kept and self._places[source].is_earlier:
                self._check(source, self._places[source])
            elif part.image not in kept and source not in self._sizes:
                del self._parts[source]

    def source_of(self, part: ImagePart) -> ImageSource:
        """Return where a registered image comes from."""
        return next(source for source, known in self._parts.items() if known.image == part.image)

    async def save(self) -> None:
        """Make the files of all images that have none yet.

        Raises InvalidRequest naming the field of an image that cannot be used, and NotFound for an unknown file id.
        """
        unsaved = [source for source in self._parts if source not in self._sizes]
        if not unsaved:
            return
        self._has_folder = True
        await asyncio.to_thread(self._folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        for source in unsaved:
            if not is_remote(source.url):
                await asyncio.to_thread(self._save, source)
        await self._fetch([source for source in unsaved if is_remote(source.url)])

    def check_sent(self) -> None:
        """Check the images that the request itself holds, without making files. Raises InvalidRequest as `save`."""
        for source, part in self._parts.items():
            if not source.file_id and not is_remote(source.url):
                check_image(io.BytesIO(self._decode(source, part.param)), part.param)

    def _check(self, source: ImageSource, place: ImagePlace) -> None:
        """Check all but the image itself."""
        self._check_model(place.part, place.kind)
        param = place.source
        validation.check_length(param, source.url, MAX_URL_CHARS)
        if source.file_id:
            validation.check_length(param, source.file_id, validation.LABEL_CHARS)
            if self._copy_file is None:
                raise validation.unsupported_field(param, "This server has no files.")
        elif source.data:
            check_encoded_size(len(source.data), param, self._max_bytes)
        elif self._remote is None or not is_remote(source.url):
            check_image_url(source.url, param, self._max_bytes)
        else:
            try:
                self._remote.check(source.url)
            except ValueError as error:
                raise InvalidRequest(
                    f"Invalid '{param}': the URL is not fetched: {error}. Send the image itself as a data: URL.",
                    param=param,
                    code="remote_image_refused",
                ) from error

    def _save(self, source: ImageSource) -> None:
        """Make the file of an image that is not remote."""
        part = self._parts[source]
        path, param = part.image.local_path, part.param
        path.touch(mode=0o600)
        if not source.file_id:
            path.write_bytes(self._decode(source, param))
        elif self._copy_file is not None:
            self._copy_file(source.file_id, path, param, self._max_bytes)
        self._check_file(source)

    async def _fetch(self, sources: Sequence[ImageSource]) -> None:
        turns = asyncio.Semaphore(_PARALLEL_FETCHES)

        async def fetch(source: ImageSource) -> None:
            async with turns:
                await self._fetch_one(source)

        tasks = [asyncio.create_task(fetch(source)) for source in sources]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch_one(self, source: ImageSource) -> None:
        part = self._parts[source]
        path, param = part.image.local_path, part.param
        await asyncio.to_thread(path.touch, mode=0o600)
        if self._remote is not None:
            try:
                await self._remote.fetch(source.url, path, self._max_bytes)
            except RemoteImageFailed as error:
                raise InvalidRequest(
                    f"Invalid '{param}': the image is not fetched. {error}", param=param, code="invalid_image_url"
                ) from error
        await asyncio.to_thread(self._check_file, source)

    def _check_file(self, source: ImageSource) -> None:
        """Check a file that was made, and that all together are not too large."""
        part = self._parts[source]
        with part.image.local_path.open("rb") as file:
            check_image(file, part.param)
            self._sizes[source] = file.seek(0, io.SEEK_END)
        if sum(list(self._sizes.values())) > MAX_TOTAL_BYTES:
            raise InvalidRequest(
                f"Invalid '{part.param}': the images of one prompt may have {MAX_TOTAL_BYTES} bytes together.",
                param=part.param,
                code="image_too_large",
            )

    def _decode(self, source: ImageSource, param: str) -> bytes:
        """Return the bytes of an image that was sent itself."""
        return decode_image_url(source.url, param, self._max_bytes) if source.url else decode_image(source.data, param)
