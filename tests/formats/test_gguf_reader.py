import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.domain.errors import InvalidRequest
from homeport.formats import gguf_reader
from tests.models import fakes
from tests.samples import small_ggufs


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(data)
    return path


def test_the_real_models_say_what_they_can(smollm2: Path, qwen: Path) -> None:
    """Window, template and fill-in-the-middle tokens are read from real files."""
    small, large = gguf_reader.read(smollm2), gguf_reader.read(qwen)
    assert (small.architecture, small.window, bool(small.template), small.has_infill) == ("llama", 8192, True, False)
    assert (large.architecture, large.window, bool(large.template), large.has_infill) == ("qwen2", 32768, True, True)


def test_infill_needs_all_three_tokens(tmp_path: Path) -> None:
    """Two of the three fill-in-the-middle tokens are not enough."""
    three = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
    assert gguf_reader.read(written(tmp_path, fakes.gguf(tokens=three))).has_infill
    assert not gguf_reader.read(written(tmp_path, fakes.gguf(tokens=three[:2]))).has_infill


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF",
        b"PK\x03\x04" * 10,
        b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**62),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 99),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, 2**60),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 0, 2**60),
        b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 1),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, data: bytes) -> None:
    """Lengths and counts beyond the file, unknown types and foreign files give an InvalidRequest naming the file."""
    with pytest.raises(InvalidRequest, match=r"model\.gguf"):
        gguf_reader.read(written(tmp_path, data))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.integers(0, 255))
def test_damaged_headers_give_a_header_or_a_clear_error(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    """Whatever byte is changed and wherever the file ends, only InvalidRequest is raised."""
    data = bytearray(fakes.gguf(tokens=("a", "b")))
    data[at % len(data)] = byte
    path = written(tmp_path, bytes(data[: len(data) - cut]))
    try:
        header = gguf_reader.read(path)
    except InvalidRequest:
        return
    assert header.architecture


def test_a_whole_file_is_whole_with_bytes_behind_it_too(tmp_path: Path) -> None:
    """All tensors are complete; later bytes, such as padding, do not matter."""
    path = small_ggufs.model(tmp_path / "model.gguf")
    assert gguf_reader.read(path).architecture == "llama"
    path.write_bytes(path.read_bytes() + bytes(1000))
    assert gguf_reader.read(path).template


@pytest.mark.parametrize("n_bytes", [1, 16, 700, 1500])
def test_a_file_that_is_cut_among_its_tensors_is_refused(tmp_path: Path, n_bytes: int) -> None:
    """A file that lacks even its last byte is reported as truncated, with both sizes."""
    path = small_ggufs.model(tmp_path / "model.gguf")
    with pytest.raises(InvalidRequest, match=r"model\.gguf is truncated: .* byte 2\d+, and the file has \d+"):
        gguf_reader.read(small_ggufs.cut(path, n_bytes))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"offset": 1 << 63}, "truncated"),
        ({"offset": 2**64 - 32}, "truncated"),
        ({"shape": (2**63, 2**63)}, "truncated"),
        ({"shape": (65,)}, "truncated"),
        ({"shape": (1,) * 5}, "5 dimensions"),
        ({"shape": (1,), "type": 999, "offset": 1 << 40}, "truncated"),
        ({"count": 2**60}, "claims .* tensors"),
        ({"count": 2}, "ends in the middle|truncated|dimensions"),
        ({"alignment": 0}, "alignment is 0"),
        ({"alignment": 2**31}, "alignment is"),
    ],
)
def test_tensors_that_cannot_be_there_are_refused(tmp_path: Path, fault: dict[str, Any], said: str) -> None:
    """Offsets and shapes beyond the file or beyond 64 bits, and counts beyond its size, each with the file's name."""
    assert gguf_reader.read(small_ggufs.with_tensor(tmp_path / "whole.gguf")).architecture == "llama"
    with pytest.raises(InvalidRequest, match=rf"model\.gguf .*({said})"):
        gguf_reader.read(small_ggufs.with_tensor(tmp_path / "model.gguf", **fault))


def test_an_endless_header_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that a sparse file makes huge is refused before it is read."""
    monkeypatch.setattr(gguf_reader, "_MAX_HEADER_BYTES", 1 << 20)
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, 2**32))
    with path.open("r+b") as file:
        file.truncate(2**36)
    with pytest.raises(InvalidRequest, match="its header has more than"):
        gguf_reader.read(path)


def test_parts_must_be_all_of_one_model(tmp_path: Path) -> None:
    """Parts under their own names pass; one alone, or in another's place, is reported with its number."""
    parts = [small_ggufs.model(tmp_path / f"m-{at}", part=(at, 2)) for at in range(2)]
    gguf_reader.check_parts(parts)
    for wrong in (parts[:1], parts[::-1], parts * 2):
        with pytest.raises(InvalidRequest, match="of 2 according to its header"):
            gguf_reader.check_parts(wrong)
    small_ggufs.cut(parts[1], 1)
    with pytest.raises(InvalidRequest, match="m-1 is truncated"):
        gguf_reader.check_parts(parts)
