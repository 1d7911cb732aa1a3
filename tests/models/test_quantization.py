import pytest

from homeport.domain.errors import InvalidRequest
from homeport.models.quantization import choose, models
from homeport.models.sources.protocol import RemoteFile


def files(*names: str) -> list[RemoteFile]:
    return [RemoteFile(name, 1) for name in names]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("Qwen3-8B-UD-IQ2_XXS.gguf", "UD-IQ2_XXS"),
        ("Llama-Q8_0-00001-of-00002.gguf", "Q8_0"),
        ("gemma-Q3_K_XL.gguf", "Q3_K_XL"),
        ("model-IQ4_NL.gguf", "IQ4_NL"),
        ("model.Q6_K.gguf", "Q6_K"),
        ("gpt-oss-mxfp4.gguf", "MXFP4"),
        ("model-bf16.gguf", "BF16"),
        ("plain.gguf", None),
    ],
)
def test_the_quantization_is_read_from_the_name(name: str, label: str | None) -> None:
    """The usual names of quantizations are recognized."""
    assert models(files(name))[0].label == label


def test_helper_files_are_no_models() -> None:
    """Projectors, importance matrices and other formats are no choices."""
    listed = files("README.md", "mmproj-F16.gguf", "x.imatrix.gguf", "m.safetensors", "Only-Q8_0.gguf")
    assert choose(listed, None, "hf:a/b").stem == "Only-Q8_0"


def test_a_choice_may_be_a_files_name() -> None:
    """Two files of one quantization are distinguished by name, and the error lists them."""
    listed = files("a-Q4_K_M.gguf", "b-Q4_K_M.gguf")
    with pytest.raises(InvalidRequest, match=r"a-Q4_K_M\.gguf, b-Q4_K_M\.gguf"):
        choose(listed, "q4_k_m", "hf:a/b")
    assert choose(listed, "b-Q4_K_M.gguf", "hf:a/b").stem == "b-Q4_K_M"


def test_a_repository_without_gguf_says_what_to_look_for() -> None:
    """Repositories of other formats are refused with a hint."""
    with pytest.raises(InvalidRequest, match="-GGUF"):
        choose(files("model.safetensors"), None, "hf:a/b")


def test_a_missing_quantization_lists_the_available_ones() -> None:
    """Requesting a missing quantization lists the available ones."""
    with pytest.raises(InvalidRequest, match=r"no Q2_K.*Q4_K_M, Q8_0"):
        choose(files("m-Q8_0.gguf", "m-Q4_K_M.gguf"), "Q2_K", "hf:a/b")
