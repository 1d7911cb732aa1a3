"""A model with the shape of CLIP ViT-B/32 and random weights, for measuring where its weights cannot be fetched.

Its vectors mean nothing; it takes as long as the real one in 32 bits. Texts are words of a small vocabulary.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from bench.prompts.onnx_file import MICROSOFT, OnnxFile
from homeport.models import dual_encoders
from homeport.models.disk import sha256
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore

NAME = "random-clip"
EDGE, PATCH, DIMENSIONS, WINDOW, LAYERS = 224, 32, 512, 77, 12
_IMAGE_WIDTH, _TEXT_WIDTH, _HEAD = 768, 512, 64
_SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")


def install(home: Path, words: Sequence[str]) -> None:
    """Install the model in a home, with a vocabulary of these words. It takes about 0.5 GB on disk."""
    store = ModelStore(home)
    folder = store.folder(NAME)
    folder.mkdir(parents=True)
    vocabulary = [*_SPECIAL, *words]
    contents = {
        "weights": _texts(len(vocabulary)),
        "images": _images(),
        "config": _json({"model_type": "clip", "vision_config": {"patch_size": PATCH}}),
        "preprocessor": _json({"size": {"shortest_edge": EDGE}, "crop_size": EDGE}),
        "tokenizer": _tokenizer(vocabulary),
        "tokenizer_config": _json({"pad_token": "<pad>", "model_max_length": WINDOW}),
    }
    stored = []
    for role, content in contents.items():
        path = folder / role
        path.write_bytes(content)
        stored.append(StoredFile(role, role, len(content), sha256(path)))
    facts = dual_encoders.facts(NAME, sum(map(len, contents.values())))
    store.commit(Manifest(facts, "random weights", None, tuple(stored)))


def _images() -> bytes:
    graph = _Transformer(_IMAGE_WIDTH)
    patches = (EDGE // PATCH) ** 2
    pixels = graph.file.input("pixel_values", np.float32, ("batch", 3, EDGE, EDGE))
    # The pixels of a patch are not gathered, which with random weights changes neither time nor meaning.
    size = graph.file.tensor(np.array([0, patches, 3 * PATCH * PATCH]))
    hidden = graph.product(graph.file.node("Reshape", [pixels, size]), 3 * PATCH * PATCH, _IMAGE_WIDTH)
    return graph.finish(hidden, "image_embeds")


def _texts(vocabulary: int) -> bytes:
    graph = _Transformer(_TEXT_WIDTH)
    ids = graph.file.input("input_ids", np.int64, ("batch", "sequence"))
    return graph.finish(graph.file.node("Gather", [graph.random(vocabulary, _TEXT_WIDTH), ids]), "text_embeds")


class _Transformer:
    """Builds one tower around its input."""

    def __init__(self, width: int) -> None:
        self.file = OnnxFile()
        self._width = width
        self._chance = np.random.default_rng(0)

    def finish(self, hidden: str, output: str) -> bytes:
        """Add the blocks, the mean over places and the projection; return the file."""
        for _ in range(LAYERS):
            hidden = self.file.node("Add", [hidden, self._attention(self._norm(hidden))])
            hidden = self.file.node("Add", [hidden, self._mlp(self._norm(hidden))])
        mean = self.file.node("ReduceMean", [self._norm(hidden), self.file.tensor(np.array([1]))], keepdims=0)
        self.file.output(output, self.product(mean, self._width, DIMENSIONS), np.float32, ("batch", DIMENSIONS))
        return self.file.content()

    def random(self, *size: int) -> str:
        """Add random weights."""
        return self.file.tensor((0.02 * self._chance.standard_normal(size)).astype(np.float32))

    def product(self, source: str, given: int, made: int) -> str:
        """Add a linear layer."""
        return self.file.node("Add", [self.file.node("MatMul", [source, self.random(given, made)]), self.random(made)])

    def _norm(self, source: str) -> str:
        ones, zeros = (self.file.tensor(np.full(self._width, value, np.float32)) for value in (1, 0))
        return self.file.node("LayerNormalization", [source, ones, zeros], axis=-1, epsilon=1e-5)

    def _attention(self, source: str) -> str:
        weights = [self.random(self._width, 3 * self._width), self.random(3 * self._width)]
        heads = self._width // _HEAD
        found = self.file.node("Attention", [source, *weights], domain=MICROSOFT, num_heads=heads)
        return self.product(found, self._width, self._width)

    def _mlp(self, source: str) -> str:
        inner = self.file.node("QuickGelu", [self.product(source, self._width, 4 * self._width)], domain=MICROSOFT)
        return self.product(inner, 4 * self._width, self._width)


def _tokenizer(vocabulary: Sequence[str]) -> bytes:
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(vocabulary)}, unk_token=_SPECIAL[-1]))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return bytes(tokenizer.to_str(), "utf-8")


def _json(values: object) -> bytes:
    return json.dumps(values).encode()
