"""Recognizes models that embed texts and images (CLIP, SigLIP): their files in a repository, and what they can do.

Two layouts: that of open_clip's exports (`immich-app/…`) and that of transformers' (`Xenova/…`). Knows nothing of hubs
or of how the models run.
"""

import time
from collections.abc import Iterable, Mapping

import msgspec

from homeport.domain.kinds import EMBEDDINGS, IMAGE_EMBEDDINGS
from homeport.domain.models import ModelFacts
from homeport.models.sources.protocol import RemoteFile

ENGINE = "dual-encoder"

_OPEN_CLIP = {
    "weights": "textual/model.onnx",
    "images": "visual/model.onnx",
    "config": "config.json",
    "preprocessor": "visual/preprocess_cfg.json",
    "tokenizer": "textual/tokenizer.json",
    "tokenizer_config": "textual/tokenizer_config.json",
}
_TRANSFORMERS = {
    "weights": "onnx/text_model{}.onnx",
    "images": "onnx/vision_model{}.onnx",
    "config": "config.json",
    "preprocessor": "preprocessor_config.json",
    "tokenizer": "tokenizer.json",
    "tokenizer_config": "tokenizer_config.json",
}
_PLAIN = "fp32"
_PREFERRED = ("_quantized", "")  # of transformers' graphs: 8 bits if there are any


class DualEncoderFiles(msgspec.Struct, frozen=True):
    """The files of one model, and the role of each."""

    files: tuple[RemoteFile, ...]
    roles: tuple[str, ...]


def choose(files: Iterable[RemoteFile], pick: str | None) -> DualEncoderFiles | None:
    """Return the model of a repository, or None. `pick`: the suffix of transformers' graphs, such as `fp16`."""
    by_path = {file.path: file for file in files}
    suffixes = _PREFERRED if pick is None else ("" if pick.lower() == _PLAIN else f"_{pick.lower()}",)
    layouts = [_OPEN_CLIP] if pick is None else []
    layouts += [{role: path.format(suffix) for role, path in _TRANSFORMERS.items()} for suffix in suffixes]
    for layout in layouts:
        if all(path in by_path for path in layout.values()):
            return _name_files(layout, by_path)
    return None


def facts(name: str, size_bytes: int) -> ModelFacts:
    """Return what such a model can do."""
    return ModelFacts(
        name=name,
        kind=EMBEDDINGS,
        engine=ENGINE,
        capabilities=(EMBEDDINGS, IMAGE_EMBEDDINGS),
        modalities=("text", "image"),
        created=int(time.time()),
        size_bytes=size_bytes,
    )


def _name_files(layout: Mapping[str, str], by_path: Mapping[str, RemoteFile]) -> DualEncoderFiles:
    """Give the two graphs of the same name different names on disk."""
    chosen = [by_path[path] for path in layout.values()]
    names = [file.name for file in chosen]
    renamed = (
        msgspec.structs.replace(file, stored_as=file.path.replace("/", "-")) if names.count(file.name) > 1 else file
        for file in chosen
    )
    return DualEncoderFiles(tuple(renamed), tuple(layout))
