"""Fine-tuned models in the store: an adapter of their own, and a base model.

Knows nothing of how adapters are made.
"""

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ADAPTER, InstalledModel
from homeport.formats import atomic, gguf_reader
from homeport.models import disk
from homeport.models.manifest import Manifest, Parent, StoredFile
from homeport.models.model_store import ModelStore

_KIND = "adapter"  # the type in an adapter's header


def install(
    store: ModelStore, name: str, parent: str, files: Mapping[str, Path], source: str, project: str | None = None
) -> InstalledModel:
    """Move a fine-tuned model's files into the store, by role, `adapter` among them, and install it.

    `source`: its origin as text; `project`: its owner; None: it is public. Raises ModelNotFound if `parent` is not
    installed, and InvalidRequest for a name that is taken or a file that is not an adapter; then nothing is moved.
    """
    base = store.manifest(parent)
    if base.parent is not None:
        raise InvalidRequest(f"`{parent}` is fine-tuned itself: fine-tune {base.parent.name} instead.")
    if gguf_reader.read(files[ADAPTER]).kind != _KIND:
        raise InvalidRequest(f"{files[ADAPTER].name} is not an adapter.")
    with store.lock_model(name) as folder:
        if store.find(name):
            raise InvalidRequest(f"There is a model `{name}` already.")
        stored = []
        for role, file in files.items():
            target = folder / file.name
            size, digest = file.stat().st_size, disk.sha256(file)
            atomic.publish_file(file, target)
            stored.append(StoredFile(target.name, role, size, digest))
        facts = msgspec.structs.replace(
            base.facts, name=name, created=int(time.time()), size_bytes=sum(file.size for file in stored)
        )
        return store.commit(
            Manifest(facts, source, None, tuple(stored), parent=Parent(parent, base.digest), project=project)
        )
