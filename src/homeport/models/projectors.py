"""Chooses the projector (`mmproj`) with which a text model sees or hears, and reads what it can do.

Repositories have one or several, of which the name says the number format. Knows nothing of hubs.
"""

import re
from collections.abc import Sequence

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.kinds import IMAGE_EMBEDDINGS, VISION
from homeport.formats.gguf_reader import GgufHeader
from homeport.models.sources.protocol import RemoteFile

NONE = "none"
"""In place of a projector's name: the model shall have none."""

AUDIO_INPUT = "audio_input"
MODALITIES = {VISION: "image", IMAGE_EMBEDDINGS: "image", AUDIO_INPUT: "audio"}

_NAME = re.compile(r"mmproj", re.IGNORECASE)
_FORMATS = ("f16", "q8_0", "bf16", "f32")
"""Smaller ones lose much; CPUs compute bfloat16 slowly, and float32 has no advantage."""


def choose(files: Sequence[RemoteFile], stem: str, wanted: str | None) -> RemoteFile | None:
    """Return the projector of the model `stem` among a repository's files; None if it has none.

    `wanted`: its name, or `none`; None: the best by format, among those whose name has most words of the model's.
    Raises InvalidRequest that lists the choices if there is none of this name.
    """
    if wanted == NONE:
        return None
    named = [file for file in files if wanted in (file.name, file.path)]
    if named:
        return named[0]
    found = [file for file in files if file.path.lower().endswith(".gguf") and _NAME.search(file.name)]
    if wanted is not None:
        names = ", ".join(file.name for file in found) or "none"
        raise InvalidRequest(f"There is no projector `{excerpt(wanted)}`: there is {names}.")
    words = set(_words(stem))
    return min(
        found, key=lambda file: (-len(words.intersection(_words(file.name))), _rank(file), file.path), default=None
    )


def capabilities(header: GgufHeader, name: str) -> tuple[str, ...]:
    """Return what a text model can do with a projector. Raises InvalidRequest if the file is none, or does neither."""
    if not header.is_projector:
        raise InvalidRequest(f"{name} is not a projector: its header says {header.kind} ({header.architecture}).")
    able = [VISION] * header.sees + [AUDIO_INPUT] * header.hears
    if not able:
        raise InvalidRequest(f"{name} has neither a vision encoder nor an audio encoder.")
    return tuple(able)


def modalities(able: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of input of a model with these capabilities."""
    return ("text", *(kind for capability, kind in MODALITIES.items() if capability in able))


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[-._]", name.lower()) if word not in ("mmproj", "gguf", "model", "")]


def _rank(file: RemoteFile) -> int:
    """Return the place of a file's format among those preferred."""
    name = re.sub(r"[^a-z0-9_]", "-", file.name.lower().removesuffix(".gguf"))
    formats = [rank for rank, format in enumerate(_FORMATS) if re.search(rf"(?:^|-){format}(?:$|-)", name)]
    return formats[0] if formats else len(_FORMATS)
