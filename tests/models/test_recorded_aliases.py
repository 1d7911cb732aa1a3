"""Aliases that an operator recorded: shared by processes, robust against broken files."""

from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, ModelNotFound
from homeport.domain.models import ModelFacts
from homeport.models import catalogue, recorded_aliases
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from homeport.models.recorded_aliases import FILE_NAME, RecordedAlias, RecordedAliases
from homeport.models.registry import InstalledModelRegistry


@pytest.fixture
def registry(tmp_path: Path) -> InstalledModelRegistry:
    """A registry of one model, `tiny`, with the setting `fixed` and the recorded aliases of the folder."""
    store = ModelStore(tmp_path)
    folder = store.folder("tiny")
    folder.mkdir(parents=True)
    (folder / "w.gguf").write_bytes(b"1")
    facts = ModelFacts("tiny", "text", "text", capabilities=("chat",))
    store.commit(Manifest(facts, "file:w.gguf", None, (StoredFile("w.gguf", "weights", 1, "0"),)))
    return InstalledModelRegistry(
        store, catalogue.built_in(), overrides={"fixed": "tiny"}, edited=RecordedAliases(tmp_path).overrides
    )


def test_a_change_is_seen_by_others(tmp_path: Path, registry: InstalledModelRegistry) -> None:
    """What one process records, a registry of another serves with its next request, and forgets when it is gone."""
    with pytest.raises(ModelNotFound):
        registry.resolve("mine", "")
    RecordedAliases(tmp_path).write("mine", RecordedAlias("tiny", "r50k_base"))
    resolved = registry.resolve("mine", "")
    assert (resolved.model.facts.name, resolved.encoding) == ("tiny", "r50k_base")
    RecordedAliases(tmp_path).write("mine", None)
    with pytest.raises(ModelNotFound):
        registry.resolve("mine", "")


def test_a_setting_comes_before_a_recorded_alias(tmp_path: Path, registry: InstalledModelRegistry) -> None:
    """A name that the settings assign stands for what they say, whatever was recorded."""
    RecordedAliases(tmp_path).write("fixed", RecordedAlias("elsewhere"))
    assert registry.resolve("fixed", "").model.facts.name == "tiny"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"mine": {"target": 1}}'])
def test_a_broken_file_counts_as_none(
    tmp_path: Path, registry: InstalledModelRegistry, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that cannot be read is reported once and records nothing; a new one is read."""
    (tmp_path / FILE_NAME).write_bytes(content)
    for _ in range(3):
        assert registry.resolve("fixed", "").model.facts.name == "tiny"
    assert caplog.text.count("is ignored") == 1
    RecordedAliases(tmp_path).write("mine", RecordedAlias("tiny"))
    assert registry.resolve("mine", "").model.facts.name == "tiny"


def test_aliases_that_contradict_are_ignored_not_fatal(
    tmp_path: Path, registry: InstalledModelRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Recorded aliases that stand for aliases are refused when checked, and a server with such a file still answers."""
    with pytest.raises(InvalidRequest, match="use the name of a model"):
        registry.check_alias("mine", "fixed")
    RecordedAliases(tmp_path).write("mine", RecordedAlias("fixed"))
    assert registry.resolve("fixed", "").model.facts.name == "tiny"
    assert "the recorded aliases are ignored" in caplog.text


def test_recorded_aliases_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More aliases than the limit are refused, and those that exist can still be changed."""
    monkeypatch.setattr(recorded_aliases, "MAX_ALIASES", 2)
    record = RecordedAliases(tmp_path)
    for name in ("a", "b", "a"):
        record.write(name, RecordedAlias("tiny"))
    with pytest.raises(InvalidRequest, match="At most 2 aliases"):
        record.write("c", RecordedAlias("tiny"))
    assert set(record.read()) == {"a", "b"}
