"""A text model of about 1 MB that continues the alphabet, and an adapter for it, written as GGUF.

Its answers are known and do not depend on the CPU: after a letter, the next one is a little likelier than the one after
it, and all others are impossible. Attention and feed-forward are zero, so both files compress to some kilobytes.
"""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

NAME = "letters"
_WIDTH, _HEAD, _VOCABULARY = 320, 64, 258
_F32, _F16 = 0, 1
_FORMATS = {_F32: "<f", _F16: "<e"}
_FIRST, _COUNT = ord("a"), 26
_LIKELY, _LESS_LIKELY = 0.75, 0.72
_TEMPLATE = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

Value = bool | int | float | str | Sequence[int] | Sequence[str]
Cell = tuple[int, int, float]


def write_model(path: Path) -> None:
    """Write the model."""
    following = [_next(token) for token in range(_VOCABULARY)]
    output = [(following[token], token, _LIKELY) for token in range(_VOCABULARY)]
    output += [(_next(following[token]), token, _LESS_LIKELY) for token in range(_VOCABULARY)]
    ones = [(0, column, 1.0) for column in range(_WIDTH)]
    tensors = [
        _tensor("token_embd.weight", _F16, _VOCABULARY, _WIDTH, [(n, n, 1.0) for n in range(_VOCABULARY)]),
        _tensor("output_norm.weight", _F32, 1, _WIDTH, ones),
        _tensor("output.weight", _F16, _VOCABULARY, _WIDTH, output),
        _tensor("blk.0.attn_norm.weight", _F32, 1, _WIDTH, ones),
        _tensor("blk.0.ffn_norm.weight", _F32, 1, _WIDTH, ones),
        _tensor("blk.0.attn_q.weight", _F16, _WIDTH, _WIDTH),
        _tensor("blk.0.attn_k.weight", _F16, _HEAD, _WIDTH),
        _tensor("blk.0.attn_v.weight", _F16, _HEAD, _WIDTH),
        _tensor("blk.0.attn_output.weight", _F16, _WIDTH, _WIDTH),
        _tensor("blk.0.ffn_gate.weight", _F16, _HEAD, _WIDTH),
        _tensor("blk.0.ffn_up.weight", _F16, _HEAD, _WIDTH),
        _tensor("blk.0.ffn_down.weight", _F16, _WIDTH, _HEAD),
    ]
    _write(path, _metadata(), tensors)


def write_adapter(path: Path) -> None:
    """Write a LoRA adapter with which `x` follows `d`."""
    tensors = [
        _tensor("output.weight.lora_a", _F32, 1, _WIDTH, [(0, ord("d"), 1.0)]),
        _tensor("output.weight.lora_b", _F32, _VOCABULARY, 1, [(ord("x"), 0, 2.0)]),
    ]
    head: dict[str, Value] = {"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora"}
    _write(path, {**head, "adapter.lora.alpha": 1.0}, tensors)


def _metadata() -> dict[str, Value]:
    return {
        "general.architecture": "llama",
        "general.type": "model",
        "general.name": NAME,
        "general.file_type": 1,
        "general.license": "mit",
        "llama.context_length": 2048,
        "llama.embedding_length": _WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": _HEAD,
        "llama.attention.head_count": _WIDTH // _HEAD,
        "llama.attention.head_count_kv": 1,
        "llama.rope.dimension_count": _HEAD,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": _VOCABULARY,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": [*_byte_tokens(), "zz", "<|end|>"],
        "tokenizer.ggml.token_type": [*[1] * 257, 3],
        "tokenizer.ggml.merges": ["z z"],
        "tokenizer.ggml.bos_token_id": 257,
        "tokenizer.ggml.eos_token_id": 257,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": _TEMPLATE,
    }


def _next(token: int) -> int:
    return _FIRST + (token - _FIRST + 1) % _COUNT if _FIRST <= token < _FIRST + _COUNT else _FIRST


def _byte_tokens() -> list[str]:
    """The character that byte-level tokenizers write for each byte."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _tensor(name: str, type: int, rows: int, width: int, cells: Iterable[Cell] = ()) -> tuple[bytes, bytes]:
    """A tensor's description up to its offset, and its data: zero but for `cells` of (row, column, value)."""
    format = _FORMATS[type]
    data = bytearray(rows * width * struct.calcsize(format))
    for row, column, value in cells:
        struct.pack_into(format, data, (row * width + column) * struct.calcsize(format), value)
    shape = (width,) if rows == 1 and "lora" not in name else (width, rows)
    return _text(name) + struct.pack(f"<I{len(shape)}QI", len(shape), *shape, type), bytes(data)


def _write(path: Path, values: dict[str, Value], tensors: Sequence[tuple[bytes, bytes]]) -> None:
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(values))
    head += b"".join(_text(name) + _value(value) for name, value in values.items())
    body = b""
    for description, data in tensors:
        head += description + struct.pack("<Q", len(body))
        body += _padded(data)
    path.write_bytes(_padded(head) + body)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 32)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
    items = [_text(each) if isinstance(each, str) else struct.pack("<i", each) for each in value]
    return struct.pack("<IIQ", 9, 8 if isinstance(value[0], str) else 5, len(items)) + b"".join(items)
