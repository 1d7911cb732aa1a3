"""GGUF files of some kilobytes, valid and with one fault each, generated here, so no file belongs to anyone else."""

import struct
from collections.abc import Sequence
from pathlib import Path

from homeport.formats.gguf_writer import (
    F16,
    F32,
    Q8_0,
    Tensor,
    Value,
    write,
)

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
UNCOMPILED = "{% for m in messages %}{{ m.content }"
"""A chat template that does not compile."""


def model(path: Path, *, template: str = TEMPLATE, part: tuple[int, int] | None = None) -> Path:
    """Write a text model with tensors of three types, which no engine can run. `part`: its number, and of how many."""
    values: dict[str, Value] = {
        "general.architecture": "llama",
        "general.type": "model",
        "llama.context_length": 512,
        "tokenizer.chat_template": template,
    }
    if part:
        values |= {"split.no": part[0], "split.count": part[1], "split.tensors.count": 3 * part[1]}
    tensors = [
        Tensor("token_embd.weight", Q8_0, (64, 10), bytes(64 * 10 // 32 * 34)),
        Tensor("output_norm.weight", F32, (64,), bytes(64 * 4)),
        Tensor("output.weight", F16, (64, 10), bytes(64 * 10 * 2)),
    ]
    write(path, values, tensors)
    return path


def cut(path: Path, n_bytes: int) -> Path:
    """Remove bytes from the end of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - n_bytes])
    return path


def with_tensor(
    path: Path, *, shape: Sequence[int] = (64,), type: int = F32, offset: int = 0, count: int = 1, alignment: int = 32
) -> Path:
    """Write a header with one such tensor and 256 bytes of data; `count`: the number of tensors that it claims."""
    name = b"token_embd.weight"
    head = struct.pack("<4sIQQ", b"GGUF", 3, count, 2)
    head += _pair(b"general.architecture", 8, struct.pack("<Q5s", 5, b"llama"))
    head += _pair(b"general.alignment", 4, struct.pack("<I", alignment))
    head += struct.pack("<Q", len(name)) + name
    head += struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, type, offset)
    path.write_bytes(head + bytes(-len(head) % 32) + bytes(256))
    return path


def _pair(key: bytes, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + value
