"""Sends the files of requests ahead of them, as blobs, to a replica's host. Knows nothing of streams.

An adapter is sent once per link and kept there, the most recently used ones of many; any other file is sent with its
request and removed with it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from homeport.cluster.attached_files import File, list_files, replace_files
from homeport.cluster.messages import CHUNK_BYTES, BeginBlob, BlobChunk, DropBlob
from homeport.domain.content import Attachment
from homeport.domain.errors import Unavailable
from homeport.domain.models import Adapter
from homeport.domain.worker_messages import EngineRequest

_log = logging.getLogger(__name__)

MAX_ADAPTERS = 64
"""Adapters that a host keeps for one link."""


class BlobLink(Protocol):
    """What sending blobs needs of a link."""

    def send(self, message: msgspec.Struct) -> None:
        """Queue one message; it is dropped if the link is lost."""
        ...

    async def drain(self) -> None:
        """Wait until the other side has received most of what was sent, or the link is lost."""
        ...


class _SentAdapter:
    """An adapter that the host has or is about to have. `users`: requests that are about to name it."""

    def __init__(self, blob: str, sending: asyncio.Task[None]) -> None:
        self.blob = blob
        self.sending = sending
        self.users = 0


class BlobSender:
    """The blobs of one link. `max_adapters`: how many the host keeps, as long as no request is about to name more."""

    def __init__(self, link: BlobLink, max_adapters: int = MAX_ADAPTERS) -> None:
        self._link = link
        self._max_adapters = max_adapters
        self._names = (str(number) for number in count(1))
        self._adapters: OrderedDict[str, _SentAdapter] = OrderedDict()

    @asynccontextmanager
    async def sent(self, request: EngineRequest) -> AsyncIterator[EngineRequest]:
        """Send a request's files; give the request that names the blobs instead, to be sent inside the block.

        If the block raises, the blobs are dropped. Raises Unavailable if a file cannot be read.
        """
        if not (files := list_files(request)):
            yield request
            return
        blobs: dict[int, File] = {}
        attachments: list[str] = []
        used: list[_SentAdapter] = []
        try:
            for file in files:
                if isinstance(file, Adapter):
                    used.append(sent := self._hold_adapter(file))
                    await asyncio.shield(sent.sending)
                    blobs[id(file)] = msgspec.structs.replace(file, file=Attachment(blob=sent.blob))
                else:
                    attachments.append(blob := next(self._names))
                    await self._send_file(BeginBlob(blob, 0), file)
                    blobs[id(file)] = Attachment(blob=blob)
            yield replace_files(request, lambda file: blobs[id(file)])
        except BaseException:
            for blob in attachments:
                self._link.send(DropBlob(blob))
            raise
        finally:
            for sent in used:
                sent.users -= 1
            self._drop_old_adapters()

    def _hold_adapter(self, adapter: Adapter) -> _SentAdapter:
        sent = self._adapters.get(adapter.digest)
        if sent is None or (sent.sending.done() and sent.sending.exception() is not None):
            blob = next(self._names)
            message = BeginBlob(blob, 0, adapter.digest, is_kept=True)
            sending = asyncio.create_task(self._send_file(message, adapter.file))
            sending.add_done_callback(_retrieve)
            sent = self._adapters[adapter.digest] = _SentAdapter(blob, sending)
        self._adapters.move_to_end(adapter.digest)
        sent.users += 1
        return sent

    def _drop_old_adapters(self) -> None:
        excess = len(self._adapters) - self._max_adapters
        for digest, sent in tuple(self._adapters.items())[: max(0, excess)]:
            if not sent.users and sent.sending.done():
                del self._adapters[digest]
                self._link.send(DropBlob(sent.blob))

    async def _send_file(self, message: BeginBlob, file: Attachment) -> None:
        try:
            await self._send_chunks(message, file.local_path)
        except OSError as error:
            self._link.send(DropBlob(message.blob))
            _log.error("a file of a request cannot be read: %s", error)
            raise Unavailable("A file of the request cannot be read.") from error

    async def _send_chunks(self, message: BeginBlob, path: Path) -> None:
        source: BinaryIO = await asyncio.to_thread(path.open, "rb")
        with source:
            left = (await asyncio.to_thread(path.stat)).st_size
            self._link.send(msgspec.structs.replace(message, size=left))
            while left:
                data = await asyncio.to_thread(source.read, min(CHUNK_BYTES, left))
                if not data:
                    raise OSError(f"{path} has become shorter")
                left -= len(data)
                self._link.send(BlobChunk(message.blob, data))
                await self._link.drain()


def _retrieve(sending: asyncio.Task[None]) -> None:
    """Mark an exception as retrieved, in case no request waits for it any more."""
    if not sending.cancelled():
        sending.exception()
