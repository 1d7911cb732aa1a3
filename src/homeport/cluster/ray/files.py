"""Files of models between nodes: an actor on a node that has them reads, and a replica on another one copies.

The actors live as long as they are used. Knows where files are by what gateways and replicas said.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import filelock
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from homeport.cluster.model_description import ModelDescription
from homeport.cluster.model_fetching import ReadRange, fetch_file
from homeport.cluster.node_models import NodeModels
from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.models import InstalledModel

_log = logging.getLogger(__name__)


class FileReader:
    """An actor that reads files of one node."""

    def read(self, path: str, offset: int, size: int) -> bytes:
        """Return a range of a file. Raises OSError."""
        with Path(path).open("rb") as file:
            file.seek(offset)
            return file.read(size)


class FileHolders:
    """Which nodes have a model's files, and the actors that read them there. Lives in the controller."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, dict[str, str]]] = {}
        self._readers: dict[str, Any] = {}

    def add(self, digest: str, node_id: str, paths: dict[str, str]) -> None:
        """Note where a node has the files of a model, by their names."""
        self._folders.setdefault(digest, {})[node_id] = paths

    def forget_node(self, node_id: str) -> None:
        """Forget a node that has ended, or shall; a reader would keep it from leaving."""
        if (reader := self._readers.pop(node_id, None)) is not None:
            ray.kill(reader)
        for holders in self._folders.values():
            holders.pop(node_id, None)

    def find(self, digest: str, tried: Sequence[str]) -> tuple[str, Any, dict[str, str]] | None:
        """Return a node that has a model and is not among `tried`, its reader, and the paths there; None: no node is.

        The asking node may be one of them: a gateway there can have another home.
        """
        for node_id, paths in self._folders.get(digest, {}).items():
            if node_id not in tried:
                return node_id, self._reader(node_id), paths
        return None

    def end_readers(self) -> None:
        """End all readers; they are started again when files are asked for."""
        for reader in self._readers.values():
            ray.kill(reader)
        self._readers.clear()

    def _reader(self, node_id: str) -> Any:
        if node_id not in self._readers:
            strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
            actor = ray.remote(FileReader).options(num_cpus=0, scheduling_strategy=strategy, max_concurrency=4)
            self._readers[node_id] = actor.remote()
        return self._readers[node_id]


async def provide_model(description: ModelDescription, node: NodeModels, controller: Any) -> InstalledModel:
    """Return the model on this node; copy or pull its files first if necessary, one replica of a node at a time.

    Raises Unavailable if no node and no source has the files.
    """
    if installed := node.find(description):
        return installed
    folder = node.folder(description)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"), thread_local=False)
    await asyncio.to_thread(lock.acquire)
    try:
        if installed := node.find(description):
            return installed
        reasons = await _copy(description, folder, controller)
        if reasons is None:
            return node.install(description)
        try:
            return await asyncio.to_thread(node.pull, description)
        except HomeportError as error:
            reasons.append(error.message)
            raise Unavailable(f"No node and no source has {description.name}: {'; '.join(reasons):.600}") from error
    finally:
        lock.release()


async def _copy(description: ModelDescription, folder: Path, controller: Any) -> list[str] | None:
    """Copy all files from the first node that can; None: done, else what failed."""
    reasons: list[str] = []
    tried: list[str] = []
    while (holder := await controller.file_holder.remote(description.digest, tried)) is not None:
        tried.append(holder[0])
        read = _range_reader(*holder[1:])
        try:
            for file in description.files:
                await fetch_file(file, folder, read)
        except (HomeportError, OSError, KeyError, ray.exceptions.RayError) as error:
            _log.warning("%s could not be copied: %s", description.name, error)
            reasons.append(f"copying it failed ({type(error).__name__})")
        else:
            return None
    return reasons


def _range_reader(reader: Any, paths: dict[str, str]) -> ReadRange:
    async def read(name: str, offset: int, size: int) -> bytes:
        data: bytes = await reader.read.remote(paths[name], offset, size)
        return data

    return read
