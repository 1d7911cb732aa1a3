"""Reads the head of a GGUF file: the model's metadata without loading it, and whether all tensors are in the file.

The file is not trusted: every length is checked against the rest of the file, so a hostile one results in
InvalidRequest, never in a crash, and never takes much memory. Layout:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from homeport.domain.errors import InvalidRequest
from homeport.formats import tensor_types

Value = int | float | bool | str

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MAX_KEYS = 100_000
_MAX_KEY_BYTES = 65_535  # the format's own limit
_MAX_STRING_BYTES = 16 << 20  # the longest are chat templates, some ten kilobytes
_MAX_HEADER_BYTES = 128 << 20  # in total; large vocabularies take some ten megabytes
_MAX_DIMENSIONS = 4
_ALIGNMENT, _MAX_ALIGNMENT = 32, 1 << 20
_MIN_INFO_BYTES = 24  # header bytes of a tensor without a name and dimensions
_TOKENS = "tokenizer.ggml.tokens"
_INFILL_KEYS = (
    {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.fim_mid_token_id"},
    {"tokenizer.ggml.prefix_token_id", "tokenizer.ggml.suffix_token_id", "tokenizer.ggml.middle_token_id"},
)
_INFILL_TOKENS = (
    {b"<|fim_prefix|>", b"<|fim_suffix|>", b"<|fim_middle|>"},
    {b"<fim_prefix>", b"<fim_suffix>", b"<fim_middle>"},
    {b"<fim-prefix>", b"<fim-suffix>", b"<fim-middle>"},
    {"<｜fim▁begin｜>".encode(), "<｜fim▁hole｜>".encode(), "<｜fim▁end｜>".encode()},
    {"▁<PRE>".encode(), "▁<SUF>".encode(), "▁<MID>".encode()},
)
_ALL_INFILL_TOKENS = frozenset().union(*_INFILL_TOKENS)

POOLINGS = (MEAN, CLS, LAST) = (1, 2, 3)
"""llama.cpp's numbers of the served pooling types, which reduce the vectors of a text's tokens to one."""

RANK = 4
"""llama.cpp's number of the pooling of rerankers, which score a pair of texts and return no vector."""


class GgufHeader(msgspec.Struct, frozen=True):
    """The metadata of a GGUF. `kind` is `model`, or `adapter`, `mmproj`, …; `window` is in tokens.

    `pooling`: how an embedding model reduces a text's vectors to one, as llama.cpp's number; None if it is not stated.
    `template`: for chat, empty if there is none. `sees`, `hears`: the encoders that a projector has.
    """

    architecture: str
    kind: str = "model"
    name: str | None = None
    licence: str | None = None
    window: int | None = None
    pooling: int | None = None
    template: str = ""
    has_infill: bool = False
    sees: bool = False
    hears: bool = False

    @property
    def is_projector(self) -> bool:
        """Whether it is no model, but turns pictures or sound into a text model's embeddings."""
        return self.kind == "mmproj" or self.architecture == "clip"


def read(path: Path) -> GgufHeader:
    """Read a file's header. Raises InvalidRequest if it is not a GGUF, truncated anywhere, or inconsistent."""
    values, tokens = _read(path)
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise InvalidRequest(f"{path.name} names no architecture, so no engine can load it.")
    window = values.get(f"{architecture}.context_length")
    pooling = values.get(f"{architecture}.pooling_type")
    return GgufHeader(
        architecture=architecture,
        kind=_text(values, "general.type") or "model",
        name=_text(values, "general.name"),
        licence=_text(values, "general.license"),
        window=window if isinstance(window, int) and window > 0 else None,
        pooling=pooling if isinstance(pooling, int) else None,
        template=_text(values, "tokenizer.chat_template") or "",
        has_infill=any(keys <= values.keys() for keys in _INFILL_KEYS)
        or any(marks <= tokens for marks in _INFILL_TOKENS),
        sees=values.get("clip.has_vision_encoder") is True,
        hears=values.get("clip.has_audio_encoder") is True,
    )


def check_parts(paths: Sequence[Path]) -> None:
    """Check that files are all parts of one model, in order and complete. Raises InvalidRequest that names one."""
    for at, path in enumerate(paths):
        values, _ = _read(path)
        number, count = _number(values, "split.no", at), _number(values, "split.count", 0) or len(paths)
        if (number, count) != (at, len(paths)):
            raise InvalidRequest(
                f"{path.name} is part {number + 1} of {count} according to its header, and part {at + 1} of "
                f"{len(paths)} according to the file names: name the first part, and keep all of them in "
                f"one folder, named …-00001-of-{count:05d}.gguf and so on."
            )


def _read(path: Path) -> tuple[dict[str, Value], set[bytes]]:
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            reader = _HeaderReader(file, size)
            values, tokens = reader.pairs()
            needed = reader.end(values.get("general.alignment", _ALIGNMENT))
    except _Broken as broken:
        raise InvalidRequest(f"{path.name} is not a readable GGUF file: {broken}.") from broken
    if needed > size:
        raise InvalidRequest(
            f"{path.name} is truncated: its tensors end at byte {needed}, and the file has {size}. Download it again."
        )
    return values, tokens


def _number(values: dict[str, Value], key: str, default: int) -> int:
    value = values.get(key)
    return value if isinstance(value, int) else default


def _text(values: dict[str, Value], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None


class _Broken(Exception):
    """What is wrong with the file, as text."""


class _HeaderReader:
    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = self._left = size
        self._header = _MAX_HEADER_BYTES
        self._n_tensors = 0

    def pairs(self) -> tuple[dict[str, Value], set[bytes]]:
        """Return all scalar and string values by key, and which of the fill-in-the-middle tokens the vocabulary has."""
        if self._take(4) != b"GGUF":
            raise _Broken("it does not start with the letters GGUF")
        version = self._number("<I")
        if version not in (2, 3):
            raise _Broken(f"format version {version} is not supported (2 and 3 are)")
        self._n_tensors = self._number("<Q")
        count = self._number("<Q")
        if self._n_tensors * _MIN_INFO_BYTES > self._left:
            raise _Broken(f"it claims {self._n_tensors} tensors, more than the file has room for")
        if count > _MAX_KEYS:
            raise _Broken(f"it claims {count} header entries")
        values: dict[str, Value] = {}
        tokens: set[bytes] = set()
        for _ in range(count):
            key = self._string(_MAX_KEY_BYTES).decode("utf-8", "replace")
            kind = self._number("<I")
            if kind == _ARRAY:
                self._array(tokens if key == _TOKENS else None)
            else:
                values[key] = self._value(kind)
        return values, tokens

    def end(self, alignment: Value) -> int:
        """Return the end of the last tensor, by the offsets after the pairs."""
        if not isinstance(alignment, int) or not 0 < alignment <= _MAX_ALIGNMENT:
            raise _Broken(f"its alignment is {alignment} bytes")
        ends = [0]
        for _ in range(self._n_tensors):
            self._string(_MAX_KEY_BYTES)
            n_dimensions = self._number("<I")
            if n_dimensions > _MAX_DIMENSIONS:
                raise _Broken(f"a tensor has {n_dimensions} dimensions")
            shape = [self._number("<Q") for _ in range(n_dimensions)]
            kind, offset = self._number("<I"), self._number("<Q")
            ends.append(offset + tensor_types.size_bytes(kind, shape))
        if self._n_tensors == 0:
            return 0
        head = self._size - self._left
        return head + -head % alignment + max(ends)

    def _value(self, kind: int) -> Value:
        if kind == _STRING:
            return self._string(_MAX_STRING_BYTES).decode("utf-8", "replace")
        form = _SCALARS.get(kind)
        if form is None:
            raise _Broken(f"a header entry has the unknown type {kind}")
        value: Value = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return value

    def _array(self, tokens: set[bytes] | None) -> None:
        kind = self._number("<I")
        count = self._number("<Q")
        form = _SCALARS.get(kind)
        if form is not None:
            self._skip(count * struct.calcsize(form))
        elif kind == _STRING:
            if count * 8 > self._left:
                raise _Broken("a list is longer than the file")
            for _ in range(count):
                text = self._string(_MAX_STRING_BYTES)
                if tokens is not None and text in _ALL_INFILL_TOKENS:
                    tokens.add(text)
        else:
            raise _Broken(f"a list has the unknown type {kind}")

    def _string(self, longest: int) -> bytes:
        size = self._number("<Q")
        if size > longest:
            raise _Broken(f"its header has a text of {size} bytes")
        return self._take(size)

    def _number(self, form: str) -> int:
        return int(struct.unpack(form, self._take(struct.calcsize(form)))[0])

    def _take(self, size: int) -> bytes:
        self._spend(size)
        self._header -= size
        if self._header < 0:
            raise _Broken(f"its header has more than {_MAX_HEADER_BYTES} bytes")
        data = self._file.read(size)
        if len(data) != size:
            raise _Broken("it ends in the middle of its header")
        return data

    def _skip(self, size: int) -> None:
        self._spend(size)
        self._file.seek(size, 1)

    def _spend(self, size: int) -> None:
        if size > self._left:
            raise _Broken("it ends in the middle of its header")
        self._left -= size
