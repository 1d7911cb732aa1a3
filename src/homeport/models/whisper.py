"""Recognizes Whisper models in CTranslate2's format: their files in a repository, and what they can do.

Knows nothing of hubs or of how they run.
"""

import json
import re
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import TRANSCRIPTION
from homeport.domain.models import ModelFacts
from homeport.models.sources.protocol import RemoteFile

_ROLES = (
    ("weights", re.compile(r"model\.bin")),
    ("config", re.compile(r"config\.json")),
    ("tokenizer", re.compile(r"tokenizer\.json")),
    ("vocabulary", re.compile(r"vocabulary\.(txt|json)")),
    # The resolution of large-v3's features; other models need none.
    ("preprocessor", re.compile(r"preprocessor_config\.json")),
)
_NEEDED = {"weights", "config", "tokenizer", "vocabulary"}
_SPEC = b"WhisperSpec\0"
_MANY_LANGUAGES = 51_865
"""The minimum vocabulary size of a multilingual model: an English-only one is smaller."""


class WhisperFiles(msgspec.Struct, frozen=True):
    """The files of one model, and the role of each."""

    files: tuple[RemoteFile, ...]
    roles: tuple[str, ...]


def choose(files: Iterable[RemoteFile]) -> WhisperFiles | None:
    """Return the model at a repository's top level, or None."""
    by_role = {role: file for file in files for role, name in _ROLES if name.fullmatch(file.path)}
    return WhisperFiles(tuple(by_role.values()), tuple(by_role)) if by_role.keys() >= _NEEDED else None


def facts(name: str, paths: Mapping[str, Path]) -> ModelFacts:
    """Return what the model can do. `paths`: its files by role. Raises InvalidRequest for another kind of model."""
    with paths["weights"].open("rb") as opened:
        head = opened.read(6 + len(_SPEC))
    # CTranslate2's header: its version, then the length and the name of the model's class.
    if len(head) < 6 + len(_SPEC) or head[6:] != _SPEC or struct.unpack_from("<H", head, 4)[0] != len(_SPEC):
        raise InvalidRequest(f"{name} is not a Whisper model, and other kinds in CTranslate2's format are not served.")
    translates = _tokens(paths["vocabulary"]) >= _MANY_LANGUAGES
    return ModelFacts(
        name=name,
        kind=TRANSCRIPTION,
        engine="transcription",
        capabilities=("transcriptions", "translations") if translates else ("transcriptions",),
        created=int(time.time()),
        size_bytes=sum(path.stat().st_size for path in paths.values()),
    )


def _tokens(vocabulary: Path) -> int:
    """Return the number of tokens: one per line, or a JSON array of them."""
    try:
        text = vocabulary.read_text(encoding="utf-8")
        return len(json.loads(text)) if vocabulary.suffix == ".json" else len(text.split("\n")) - text.endswith("\n")
    except ValueError as error:
        raise InvalidRequest(f"{vocabulary.name} is not a vocabulary: {error}.") from error
