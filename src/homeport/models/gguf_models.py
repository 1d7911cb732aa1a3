"""What a model in GGUF files is and can do, by the headers of its files. Knows nothing of sources."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import EMBEDDINGS, TEXT
from homeport.domain.models import PROJECTOR, ModelFacts
from homeport.formats import gguf_reader
from homeport.models import projectors
from homeport.models.manifest import StoredFile
from homeport.models.quantization import WeightFiles

_NOT_TEXT = re.compile(r"clip|.*bert.*|t5encoder|whisper|.*vocoder.*|wavtokenizer.*", re.IGNORECASE)


def facts(name: str, chosen: WeightFiles, folder: Path, stored: Sequence[StoredFile]) -> ModelFacts:
    """Return what the model's own header says it can do."""
    gguf_reader.check_parts([folder / file.name for file in stored if file.role != PROJECTOR])
    header = gguf_reader.read(folder / stored[0].name)
    kind, capabilities = _kind_and_capabilities(header, chosen.stem)
    chats = kind == TEXT and "chat" in capabilities
    for file in stored if chats else ():
        if file.role == PROJECTOR:
            capabilities += projectors.capabilities(gguf_reader.read(folder / file.name), file.name)
    return ModelFacts(
        name=name,
        kind=kind,
        engine=kind,
        window=header.window,
        capabilities=capabilities,
        modalities=projectors.modalities(capabilities),
        licence=f"{header.licence} (unverified)" if header.licence else "unknown",
        created=int(time.time()),
        size_bytes=sum(file.size for file in stored),
    )


def _kind_and_capabilities(header: gguf_reader.GgufHeader, stem: str) -> tuple[str, tuple[str, ...]]:
    """Return the kind of model in a header, which is also its engine's name, and its capabilities.

    Raises InvalidRequest for a file that no engine serves.
    """
    if header.kind != "model" or header.pooling == gguf_reader.RANK:
        what = header.kind if header.kind != "model" else "a reranker"
        raise InvalidRequest(
            f"{stem} is not a text or embedding model ({what}), and other kinds of GGUF are not served."
        )
    if header.pooling in gguf_reader.POOLINGS:
        return EMBEDDINGS, (EMBEDDINGS,)
    if _NOT_TEXT.fullmatch(header.architecture):
        raise InvalidRequest(
            f"{stem} is not a text model ({header.architecture}), and not an embedding model, because its "
            "header names no pooling: other kinds of GGUF are not served."
        )
    capabilities = ("chat", "completions", "edits") if header.template else ("completions",)
    return TEXT, (*capabilities, "infill") if header.has_infill else capabilities
