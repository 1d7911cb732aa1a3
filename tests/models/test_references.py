from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.models.references import (
    CatalogueName,
    FileReference,
    HubReference,
    Reference,
    check_name,
    folder_name,
    local_name,
    parse,
)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("smollm2-135m", CatalogueName("smollm2-135m")),
        ("hf:Qwen/Qwen3-8B-GGUF", HubReference("hf", "Qwen/Qwen3-8B-GGUF")),
        ("hf:Qwen/Qwen3-8B-GGUF:Q4_K_M", HubReference("hf", "Qwen/Qwen3-8B-GGUF", "Q4_K_M")),
        ("ms:a/b@v1.0", HubReference("ms", "a/b", None, "v1.0")),
        ("hf:a/b:x.gguf@refs/pr/1", HubReference("hf", "a/b", "x.gguf", "refs/pr/1")),
        ("file:/models/a b.gguf", FileReference(Path("/models/a b.gguf"))),
    ],
)
def test_references_are_read(text: str, meant: Reference) -> None:
    """Every documented form is parsed."""
    assert parse(text) == meant


@pytest.mark.parametrize("text", ["", "hf:", "hf:onlyname", "hf:../x", "hf:a/../b", "http://x/y", "file:", "ms:a/b/c"])
def test_what_is_no_reference_lists_the_forms(text: str) -> None:
    """Anything else is refused with the list of forms."""
    with pytest.raises(InvalidRequest, match="hf:org/repo"):
        parse(text)


def test_names_are_made_safe() -> None:
    """A file's stem becomes a lower-case folder name; an unusable one asks for --name."""
    assert local_name("Qwen3 8B (Q4_K_M)") == "qwen3-8b-q4_k_m"
    assert local_name("../../x") == "x"
    with pytest.raises(InvalidRequest, match="--name"):
        local_name("模型")


@pytest.mark.parametrize("check", [check_name, folder_name, local_name])
@pytest.mark.parametrize("name", ["Ä" * 5_000, "Ä:" * 5_000, "\x00" * 5_000])
def test_long_names_are_shortened_in_errors(check: Callable[[str], str], name: str) -> None:
    """A name that is no name is repeated in part only."""
    with pytest.raises(InvalidRequest) as refused:
        check(name)
    assert len(str(refused.value)) < 450
