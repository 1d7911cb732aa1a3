import logging
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, ModelNotFound, Unavailable
from homeport.models.manifest import FILE_NAME
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.models.fakes import Recorder, gguf


@pytest.fixture
def filled(tmp_path: Path, store: ModelStore, progress: Recorder) -> ModelStore:
    origin = tmp_path / "tiny.gguf"
    origin.write_bytes(gguf(pad=100))
    pull(f"file:{origin}", store, PullOptions(), progress)
    return store


def test_an_empty_home_has_no_models(store: ModelStore) -> None:
    """A store whose folder does not exist yet is empty, and reading it creates no folder."""
    assert store.installed() == []
    assert store.find("tiny") is None
    assert not store.home.exists()


def test_verify_finds_a_changed_byte(filled: ModelStore) -> None:
    """Bytes that changed in the store are found, with the command that repairs them."""
    filled.verify("tiny")
    weights = filled.folder("tiny") / "tiny.gguf"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(Unavailable, match="homeport rm tiny"):
        filled.verify("tiny")


def test_a_truncated_file_is_not_served(filled: ModelStore, caplog: pytest.LogCaptureFixture) -> None:
    """A model with a file missing or of another size is not found, and the log has the reason, once."""
    (filled.folder("tiny") / "tiny.gguf").write_bytes(b"GGUF")
    with caplog.at_level(logging.WARNING):
        assert filled.find("tiny") is None
        assert filled.installed() == []
    assert [record.message for record in caplog.records if "missing or truncated" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == 1


def test_a_broken_manifest_hides_one_model_only(
    filled: ModelStore, tmp_path: Path, progress: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """One invalid manifest is logged; the other models are served."""
    origin = tmp_path / "other.gguf"
    origin.write_bytes(gguf())
    pull(f"file:{origin}", filled, PullOptions(), progress)
    (filled.folder("tiny") / FILE_NAME).write_text("{")
    assert filled.names() == ["other"]
    assert "is broken" in caplog.text


def test_removal_deletes_everything_and_never_waits(filled: ModelStore) -> None:
    """A removed model and its folder are gone; a model that is being pulled is not removed."""
    with filled.lock_model("tiny"), pytest.raises(Unavailable, match="being pulled"):
        ModelStore(filled.home).remove("tiny")
    filled.remove("tiny")
    assert filled.names() == []
    assert not filled.folder("tiny").exists()
    with pytest.raises(ModelNotFound):
        filled.remove("tiny")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "UPPER"])
def test_a_name_never_leaves_the_store(store: ModelStore, name: str) -> None:
    """Names that could be paths are refused, and nothing is found under them."""
    with pytest.raises(InvalidRequest):
        store.folder(name)
    assert store.find(name) is None


def test_partial_files_are_discarded_and_nothing_else(filled: ModelStore) -> None:
    """Of an installed model only partial files are deleted, of another everything, unless it is being pulled."""
    for name in ("tiny", "other"):
        filled.folder(name).mkdir(exist_ok=True)
        (filled.folder(name) / "tiny.gguf.abc.part").write_bytes(b"1")
        (filled.folder(name) / "tmp.part").mkdir()
    (filled.folder("other") / "first-of-2.gguf").write_bytes(b"1")
    with ModelStore(filled.home).lock_model("other"):
        filled.discard_partial("other")
        assert (filled.folder("other") / "first-of-2.gguf").exists()
    for name in ("tiny", "other", "never-pulled"):
        filled.discard_partial(name)
    assert sorted(path.name for path in filled.folder("tiny").iterdir()) == [FILE_NAME, "tiny.gguf"]
    assert not filled.folder("other").exists()
    filled.verify("tiny")
