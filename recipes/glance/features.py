"""Pictures and texts as numbers, by the engine's code and the installed models; kept in files. Knows no labels."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import platformdirs
from numpy.typing import NDArray
from PIL import Image

from homeport.engines.embeddings.dual_encoder import glance
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions
from homeport.models.model_store import ModelStore

Floats = NDArray[np.float32]
_BATCH = 8


class Seen(msgspec.Struct, frozen=True):
    """Pictures: what each shows (its key), and the network's features and class probabilities, one row each."""

    keys: Sequence[str]
    features: Floats
    classes: Floats


class TextVectors:
    """Vectors of texts by the text model."""

    def __init__(self, texts: Sequence[str], rows: Floats) -> None:
        self._rows = rows
        self._index = {text: at for at, text in enumerate(texts)}

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Return one row for each of these texts, which must be known."""
        return np.asarray(self._rows[[self._index[text] for text in texts]], np.float32)


def see(file: Path, network: glance.ImageNetwork, pictures: Iterable[tuple[str, Image.Image]]) -> Seen:
    """Compute pictures, or read what was computed and kept in `file`."""
    if not file.exists():
        keys: list[str] = []
        rows: list[tuple[Floats, Floats]] = []
        waiting = iter(pictures)
        while batch := list(islice(waiting, _BATCH)):
            keys += [key for key, _ in batch]
            rows.append(network.compute([glance.preprocess(on_white(image)) for _, image in batch]))
        features, classes = (np.concatenate(part).astype(np.float16) for part in zip(*rows, strict=True))
        np.savez(file, keys=np.array(json.dumps(keys)), features=features, classes=classes)
    with np.load(file) as kept:
        floats = (kept[name].astype(np.float32) for name in ("features", "classes"))
        return Seen(json.loads(str(kept["keys"])), *floats)


def on_white(image: Image.Image) -> Image.Image:
    """Return a picture as RGB, with white where it is transparent, as the engine decodes files."""
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def read_texts(file: Path, texts: Iterable[str]) -> TextVectors:
    """Compute the texts that `file` lacks, and keep them there too."""
    known: list[str] = []
    rows = np.zeros((0, 0), np.float32)
    if file.exists():
        with np.load(file) as kept:
            known, rows = json.loads(str(kept["texts"])), kept["rows"]
    if missing := sorted(set(texts) - set(known)):
        with text_model() as model:
            found = _encode(model, missing)
        known += missing
        rows = np.concatenate([rows, found]) if rows.size else found
        np.savez(file, texts=np.array(json.dumps(known)), rows=rows)
    return TextVectors(known, rows)


def _encode(model: EmbeddingEncoder, texts: Sequence[str]) -> Floats:
    """Compute texts of similar length together; longer ones than the window are cut."""
    ids = [model.tokenize(glance.PREFIX + text)[: model.window] for text in texts]
    order = sorted(range(len(texts)), key=lambda at: len(ids[at]))
    rows = np.zeros((len(texts), model.dimensions), np.float32)
    for chunk in _chunks(order, [len(each) for each in ids], model):
        rows[chunk] = model.encode([ids[at] for at in chunk])
    return rows


def _chunks(order: Sequence[int], lengths: Sequence[int], model: EmbeddingEncoder) -> Iterator[list[int]]:
    chunk: list[int] = []
    for at in order:
        if chunk and (
            sum(lengths[each] for each in chunk) + lengths[at] > model.batch or len(chunk) == model.sequences
        ):
            yield chunk
            chunk = []
        chunk.append(at)
    yield chunk


@contextmanager
def text_model() -> Iterator[EmbeddingEncoder]:
    """The text model in HOMEPORT_HOME. Raises SystemExit if it is not installed."""
    model = encoder.load(installed("multilingual-e5-small")["weights"], EncoderOptions(threads=1))
    try:
        yield model
    finally:
        model.close()


def image_network(threads: int = 1) -> glance.ImageNetwork:
    """The image network in HOMEPORT_HOME. Raises SystemExit if it is not installed."""
    return glance.ImageNetwork(installed("homeport-glance-256")["weights"], threads)


def installed(name: str) -> Mapping[str, Path]:
    """The files of an installed model. Raises SystemExit if it is not installed."""
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    found = ModelStore(home).find(name)
    if found is None:
        raise SystemExit(f"Run `homeport pull {name}` first.")
    return found.files
