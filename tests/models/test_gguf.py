import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.domain.errors import InvalidRequest
from homeport.models import gguf
from tests.models import fakes


def written(folder: Path, data: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(data)
    return path


def test_the_real_models_say_what_they_can(smollm2: Path, qwen: Path) -> None:
    """Window, template and fill-in-the-middle tokens are read from real files."""
    small, large = gguf.read(smollm2), gguf.read(qwen)
    assert (small.architecture, small.window, bool(small.template), small.has_infill) == ("llama", 8192, True, False)
    assert (large.architecture, large.window, bool(large.template), large.has_infill) == ("qwen2", 32768, True, True)


def test_infill_needs_all_three_tokens(tmp_path: Path) -> None:
    """Two of the three fill-in-the-middle tokens are not enough."""
    three = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
    assert gguf.read(written(tmp_path, fakes.gguf(tokens=three))).has_infill
    assert not gguf.read(written(tmp_path, fakes.gguf(tokens=three[:2]))).has_infill


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
        gguf.read(written(tmp_path, data))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), at=st.integers(0, 400), byte=st.integers(0, 255))
def test_damaged_headers_give_a_header_or_a_clear_error(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    """Whatever byte is changed and wherever the file ends, nothing but InvalidRequest comes out."""
    data = bytearray(fakes.gguf(tokens=("a", "b")))
    data[at % len(data)] = byte
    path = written(tmp_path, bytes(data[: len(data) - cut]))
    try:
        header = gguf.read(path)
    except InvalidRequest:
        return
    assert header.architecture
