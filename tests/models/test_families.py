"""Families of models: each member is an entry of the catalogue with what its family and it itself say."""

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.models import catalogue, families

FAMILY = """
families:
  - family: tiny
    title: Tiny
    summary: Chat.
    licence: mit
    window: 4096
    tools: qwen
    hubs: [hf, ms]
    repo: org/Tiny-<size>-GGUF
    files: [Tiny-<size>-Q4_K_M.gguf]
    models:
      - {name: tiny-1b, size: 1B, bytes: 1000, kv_bytes: 10}
      - name: tiny-9b
        size: 9B
        note: Reasons.
        window: 8192
        tools: generic
        reasoning: always
        licence: apache-2.0
        hubs: [hf]
        revision: abc
        repo: other/Tiny
        files: [q/a-00001-of-00002.gguf, q/a-00002-of-00002.gguf]
"""


def test_a_member_takes_what_its_family_says() -> None:
    """Window, tools, license and hubs are the family's, and the size is part of the repository and file names."""
    entry = families.parse(FAMILY)[0]
    assert (entry.name, entry.summary, entry.family) == ("tiny-1b", "Tiny 1B. Chat.", "tiny")
    assert (entry.window, entry.tools, entry.reasoning, str(entry.licence)) == (
        4096,
        "qwen",
        "none",
        "mit (unverified)",
    )
    assert (entry.size_bytes, entry.kv_bytes, entry.is_tested) == (1000, 10, False)
    assert [(source.hub, source.repo) for source in entry.sources] == [
        ("hf", "org/Tiny-1B-GGUF"),
        ("ms", "org/Tiny-1B-GGUF"),
    ]
    assert [(file.path, file.role, file.sha256) for file in entry.sources[0].files] == [
        ("Tiny-1B-Q4_K_M.gguf", "weights", None)
    ]


def test_a_member_may_differ() -> None:
    """What a member says itself replaces what its family says, and a model of several files has a role for each."""
    entry = families.parse(FAMILY)[1]
    assert entry.summary == "Tiny 9B. Reasons."
    assert (entry.window, entry.tools, entry.reasoning, entry.licence.name) == (8192, "generic", "always", "apache-2.0")
    (source,) = entry.sources
    assert (source.repo, source.revision) == ("other/Tiny", "abc")
    assert [(file.name, file.role) for file in source.files] == [
        ("a-00001-of-00002.gguf", "weights"),
        ("a-00002-of-00002.gguf", "weights-2"),
    ]
    assert entry.size_bytes is None


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("tools: qwen", "tools: mystery", "tools"),
        ("title: Tiny", "titel: Tiny", "titel"),
        ("title: Tiny", "x: [", "wrong"),
    ],
)
def test_a_wrong_family_names_the_fault(was: str, becomes: str, says: str) -> None:
    """Unknown fields and formats, and invalid YAML, are refused with the position."""
    with pytest.raises(InvalidRequest, match=says):
        families.parse(FAMILY.replace(was, becomes))


def test_every_family_states_what_is_needed_to_choose() -> None:
    """Each member of a family has a window, a tool-call format and a reasoning switch, and most have a size."""
    members = [entry for entry in catalogue.built_in().models if entry.family]
    assert {"qwen3", "llama-3", "mistral-small", "gemma-3", "phi", "glm", "gpt-oss", "deepseek-r1", "granite"} <= {
        entry.family for entry in members
    }
    assert sum(entry.size_bytes is not None for entry in members) > 20
    for entry in members:
        assert entry.window, entry.name
        assert entry.kv_bytes, entry.name
        assert entry.tools, entry.name
        assert entry.reasoning, entry.name
        for source in entry.sources:
            assert source.repo != ""
            assert all(file.name.endswith(".gguf") and "<" not in file.path for file in source.files)
