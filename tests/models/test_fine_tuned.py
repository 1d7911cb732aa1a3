from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, ModelNotFound
from homeport.models import catalogue, manifest
from homeport.models.fine_tuned import install
from homeport.models.model_store import ModelStore
from homeport.models.registry import InstalledModelRegistry
from tests.models.test_registry import QWEN, SMALL, put
from tests.samples.tiny_adapters import adapter

NAME = f"ft:{SMALL}:homeport:my-words:0a1b2c3d"


def tuned(store: ModelStore, tmp_path: Path, name: str = NAME, parent: str = SMALL) -> None:
    install(store, name, parent, {"adapter": adapter(tmp_path / "adapter.gguf", 1)}, "fine-tuned here")


@pytest.fixture
def filled(store: ModelStore) -> ModelStore:
    put(store, SMALL)
    put(store, QWEN)
    return store


def test_a_fine_tuned_model_runs_on_its_base(filled: ModelStore, tmp_path: Path) -> None:
    """Its name resolves to its base model, with its own file and hash as the adapter."""
    tuned(filled, tmp_path)
    found = InstalledModelRegistry(filled, catalogue.built_in()).resolve(NAME, "chat")
    assert (found.model.facts.name, found.served_model.facts.name, found.served_model.parent) == (SMALL, NAME, SMALL)
    assert found.adapter
    assert found.adapter.file.local_path.read_bytes()[:4] == b"GGUF"
    assert found.adapter.digest == filled.manifest(NAME).files[0].sha256
    filled.verify(NAME)


def test_both_are_listed_and_only_the_fine_tuned_one_is_removed(filled: ModelStore, tmp_path: Path) -> None:
    """A base model cannot be removed before its fine-tuned one; removing the fine-tuned one keeps the base."""
    tuned(filled, tmp_path)
    registry = InstalledModelRegistry(filled, catalogue.built_in())
    assert {model.facts.name for model in registry.models()} == {SMALL, QWEN, NAME}
    with pytest.raises(InvalidRequest, match=NAME):
        filled.remove(SMALL)
    registry.remove(NAME)
    assert {model.facts.name for model in registry.models()} == {SMALL, QWEN}
    assert not list((filled.home / "models").glob("ft*"))
    filled.remove(SMALL)


def test_another_model_under_the_same_name_is_not_adapted(filled: ModelStore, tmp_path: Path) -> None:
    """If the files that it was trained on are gone, a fine-tuned model is not listed and the error says what to do."""
    tuned(filled, tmp_path)
    made = filled.manifest(SMALL)
    other = manifest.StoredFile("w.gguf", "weights", 1, "1" * 64)
    filled.commit(manifest.Manifest(made.facts, "elsewhere", None, (other,)))
    registry = InstalledModelRegistry(filled, catalogue.built_in())
    assert NAME not in {model.facts.name for model in registry.models()}
    with pytest.raises(ModelNotFound, match=f"homeport pull {SMALL}"):
        registry.resolve(NAME, "chat")


def test_what_cannot_be_installed_leaves_nothing(filled: ModelStore, tmp_path: Path) -> None:
    """A missing parent, a file that is no adapter, a fine-tuned parent, a taken or invalid name: refused, no folder."""
    with pytest.raises(ModelNotFound):
        tuned(filled, tmp_path, parent="nobody")
    with pytest.raises(InvalidRequest):
        install(filled, NAME, SMALL, {"adapter": filled.folder(SMALL) / "w.gguf"}, "here")
    for name in ("ft:../x:y", "ft:a/b:c", "FT:a:b:c", f"ft:{'x' * 300}:y:z"):
        with pytest.raises(InvalidRequest):
            tuned(filled, tmp_path, name)
        assert filled.find(name) is None
    tuned(filled, tmp_path)
    with pytest.raises(InvalidRequest, match="already"):
        tuned(filled, tmp_path)
    with pytest.raises(InvalidRequest, match=f"fine-tune {SMALL}"):
        tuned(filled, tmp_path, "ft:x:y:z", NAME)
    assert [path.name for path in (filled.home / "models").glob("ft*")] == [NAME.replace(":", "+")]
