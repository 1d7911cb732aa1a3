"""Selects one GGUF of a repository with many; projectors are selected by `projectors`. Knows nothing of hubs.

A GGUF in several files (`…-00001-of-00003.gguf`) is one model.
"""

import re
from collections.abc import Iterable

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.models.sources.protocol import RemoteFile

PREFERRED = "Q4_K_M"
"""The quantization that is used if none is requested: the usual balance of size and quality."""

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})")
_LABEL = re.compile(
    r"(?:^|[-._])((?:UD-)?(?:I?Q|TQ)\d(?:_\d|_K|_XXS|_XS|_S|_M|_NL)?(?:_(?:XXL|XXS|XL|XS|S|M|L|\d))*|BF16|F16|F32|MXFP4(?:_MOE)?)"
    r"(?=$|[-._])",
    re.IGNORECASE,
)
_NOT_MODELS = re.compile(r"mmproj|imatrix", re.IGNORECASE)


class WeightFiles(msgspec.Struct, frozen=True):
    """One model's files, shards in order. `stem` is its name without shard number and suffix."""

    stem: str
    files: tuple[RemoteFile, ...]
    count: int

    @property
    def label(self) -> str | None:
        """The quantization in its name, such as `Q4_K_M`, in capitals."""
        labels = _LABEL.findall(self.stem)
        return labels[-1].upper() if labels else None


def models(files: Iterable[RemoteFile]) -> list[WeightFiles]:
    """Return the models among a repository's files, by name."""
    groups: dict[tuple[str, int], dict[int, RemoteFile]] = {}
    for file in files:
        if not file.path.lower().endswith(".gguf") or _NOT_MODELS.search(file.name):
            continue
        stem, number, count = file.path[: -len(".gguf")], 1, 1
        if shard := _SHARD.fullmatch(stem):
            stem, number, count = shard["stem"], int(shard["number"]), int(shard["count"])
        groups.setdefault((stem, count), {})[number] = file
    return [
        WeightFiles(stem.rsplit("/", 1)[-1], tuple(shards[number] for number in sorted(shards)), count)
        for (stem, count), shards in sorted(groups.items())
    ]


def choose(files: Iterable[RemoteFile], pick: str | None, label: str) -> WeightFiles:
    """Return the model of `pick` (a quantization or a file's name; None: the preferred quantization).

    Raises InvalidRequest that lists the choices, if none or several match.
    """
    available = models(files)
    if not available:
        raise InvalidRequest(
            f"{label} has no GGUF file, and others are not served: look for a repository of the same model whose name "
            "ends in -GGUF."
        )
    wanted = (pick or PREFERRED).upper()
    matching = [model for model in available if _matches(model, wanted)]
    if pick is None and len(available) == 1:
        matching = available
    if len(matching) != 1:
        raise InvalidRequest(_ambiguity_error(available, matching, pick, label))
    model = matching[0]
    if len(model.files) != model.count:
        raise InvalidRequest(f"{label} has only {len(model.files)} of the {model.count} files of {model.stem}.")
    return model


def _matches(model: WeightFiles, wanted: str) -> bool:
    names = {model.stem.upper(), *(file.name.upper() for file in model.files), *(f.path.upper() for f in model.files)}
    return wanted == model.label or wanted in names


def _ambiguity_error(available: list[WeightFiles], matching: list[WeightFiles], pick: str | None, label: str) -> str:
    if matching:
        names = ", ".join(model.files[0].name for model in matching)
        return f"{label} has several files of {pick or PREFERRED}: append one's name after a colon: {names}."
    what = f"has no {pick}" if pick else "has several quantizations"
    choice = [model.label or model.files[0].name for model in available]
    return f"{label} {what}: append one after a colon, for example {label}:{choice[0]}. There are {', '.join(choice)}."
