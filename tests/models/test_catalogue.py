import pytest

from homeport.domain.errors import InvalidRequest
from homeport.models import catalogue


def test_the_models_are_pinned() -> None:
    """Every model comes from wheels with every hash pinned, and from hubs marked untested, hubs first."""
    for entry in catalogue.built_in().models:
        *hubs, wheels = entry.sources
        assert "hf" in [source.hub for source in hubs]
        assert all(source.untested and not any(file.sha256 for file in source.files) for source in hubs)
        for file in wheels.files:
            assert file.conversion or file.size == sum(part.size for part in file.parts)
            assert all(len(part.wheel_sha256) == 64 for part in file.parts)


@pytest.mark.parametrize(
    ("kind", "capabilities"),
    [("text", {"chat", "completions", "edits", "infill"}), ("embeddings", {"embeddings"})],
)
def test_one_model_stands_for_each_kind(kind: str, capabilities: set[str]) -> None:
    """Exactly one entry is the default for a kind, and it can do all that its endpoints need."""
    known = catalogue.built_in()
    default = known.default(kind)
    assert default is not None
    assert set(default.capabilities) == capabilities
    assert [entry.name for entry in known.models if entry.default and entry.kind == kind] == [default.name]


def test_a_licence_that_only_upstream_states_is_said() -> None:
    """The facts of a model whose package states no licence call it unverified."""
    licences = {entry.name: entry.facts(0, 0).licence for entry in catalogue.built_in().models}
    assert licences["qwen2.5-coder-0.5b"] == "apache-2.0 (unverified)"
    assert licences["smollm2-135m"] == "apache-2.0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: [{name: x}]", "summary"),
        ("models: 3", "models"),
        ("models: [", "wrong"),
        ("models: []\nextra: 1", "extra"),
    ],
)
def test_a_wrong_catalogue_names_the_fault(text: str, says: str) -> None:
    """Missing and unknown fields and broken YAML are refused with the place."""
    with pytest.raises(InvalidRequest, match=says):
        catalogue.parse(text)
