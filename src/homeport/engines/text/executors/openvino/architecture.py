"""The shape of a decoder whose prompts OpenVINO can compute, read from a GGUF's metadata.

Knows nothing of tensors' contents or of OpenVINO.
"""

from collections.abc import Collection, Mapping

import msgspec

from homeport.domain.errors import Unavailable

FAMILIES = ("llama", "qwen2", "qwen3")
"""The architectures that can be built, as GGUF files name them."""

_INTERLEAVED = ("llama",)  # pairs of neighbouring values are rotated together; elsewhere pairs are half a head apart
_MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_REQUIRED = {f"{name}.weight" for name in (*_MATRICES, "attn_norm", "ffn_norm")}
_OPTIONAL = {"attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_q_norm.weight", "attn_k_norm.weight"}
_OUTSIDE = {"token_embd.weight", "output_norm.weight", "output.weight", ROPE_FACTORS := "rope_freqs.weight"}


class Architecture(msgspec.Struct, frozen=True):
    """The sizes of a decoder. `head`: values of one head; `is_interleaved`: how rotary positions pair them."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head: int
    epsilon: float
    rope_base: float
    is_interleaved: bool

    @property
    def kv_width(self) -> int:
        """Values of one token's keys, and of its values, in one layer."""
        return self.kv_heads * self.head


def read(metadata: Mapping[str, str], tensors: Collection[str]) -> Architecture:
    """Read the sizes, and check that nothing else is in the model. Raises Unavailable that says what is unknown."""
    family = metadata.get("general.architecture", "")
    if family not in FAMILIES:
        raise Unavailable(f"The architecture `{family}` is none of {', '.join(FAMILIES)}.")

    def number(key: str, default: float | None = None) -> float:
        text = metadata.get(f"{family}.{key}")
        if text is None and default is not None:
            return default
        try:
            return float(text or "")
        except ValueError:
            raise Unavailable(f"The metadata `{family}.{key}` is `{text}`, not one number.") from None

    width, heads = int(number("embedding_length")), int(number("attention.head_count"))
    head = int(number("attention.key_length", width // heads))
    scaling = metadata.get(f"{family}.rope.scaling.type", "none")
    unknown = {
        "attention.value_length": number("attention.value_length", head) != head,
        "rope.dimension_count": number("rope.dimension_count", head) != head,
        "rope.scaling.type": scaling != "none",
        "attention.sliding_window": number("attention.sliding_window", 0) > 0,
        "expert_count": number("expert_count", 0) > 0,
        "attention.scale": number("attention.scale", 0) > 0,
        "embedding_scale": number("embedding_scale", 0) > 0,
    }
    if found := [name for name, is_unknown in unknown.items() if is_unknown]:
        raise Unavailable(f"The model uses `{family}.{found[0]}`, which is not supported.")
    layers = int(number("block_count"))
    _check_tensors(set(tensors), layers)
    return Architecture(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=int(number("attention.head_count_kv", heads)),
        head=head,
        epsilon=number("attention.layer_norm_rms_epsilon"),
        rope_base=number("rope.freq_base", 10_000.0),
        is_interleaved=family in _INTERLEAVED,
    )


def _check_tensors(tensors: set[str], layers: int) -> None:
    for layer in range(layers):
        prefix = f"blk.{layer}."
        own = {name.removeprefix(prefix) for name in tensors if name.startswith(prefix)}
        tensors = {name for name in tensors if not name.startswith(prefix)}
        if odd := (own - _REQUIRED - _OPTIONAL) or (_REQUIRED - own):
            raise Unavailable(f"The tensor `{prefix}{min(odd)}` is unknown or missing.")
    if odd := tensors - _OUTSIDE:
        raise Unavailable(f"The tensor `{min(odd)}` is unknown.")
