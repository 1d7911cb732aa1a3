from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, NotFound, Unavailable
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.models.fakes import Recorder, gguf
from tests.samples import small_ggufs

OFFLINE = PullOptions(offline=True)


def test_a_file_is_copied_and_known_by_its_header(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """A user's file is installed under its stem, offline too, and the original is unchanged."""
    origin = tmp_path / "My Model.Q8_0.gguf"
    origin.write_bytes(gguf(template=False, pad=5000))
    model = pull(f"file:{origin}", store, OFFLINE, progress)
    assert model.facts.name == "my-model.q8_0"
    assert model.facts.capabilities == ("completions",)
    assert model.files["weights"].read_bytes() == origin.read_bytes()
    assert model.files["weights"].stat().st_ino != origin.stat().st_ino
    assert progress.done == progress.size == origin.stat().st_size


def test_a_template_that_does_not_work_is_no_chat(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """A model whose template has a fault is installed without chat, and the fault is reported."""
    for name, template in (("good", "works"), ("bad", "{% for %}")):
        (tmp_path / f"{name}.gguf").write_bytes(gguf(template=template))
    options = PullOptions(offline=True, template_fault=lambda source: "" if source == "works" else f"bad: {source}")
    assert pull(f"file:{tmp_path}/good.gguf", store, options, progress).facts.capabilities[0] == "chat"
    assert pull(f"file:{tmp_path}/bad.gguf", store, options, progress).facts.capabilities == ("completions",)
    assert progress.messages[-1] == "bad cannot be used for chat: bad: {% for %}"


def test_a_file_can_be_linked(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """With the link option the bytes are on disk once."""
    origin = tmp_path / "tiny.gguf"
    origin.write_bytes(gguf())
    model = pull(f"file:{origin}", store, PullOptions(link=True), progress)
    assert model.files["weights"].stat().st_ino == origin.stat().st_ino
    store.remove("tiny")
    assert origin.exists()


def test_shards_beside_the_named_one_come_along(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """Naming one shard installs all of them; a missing one is reported."""
    for number in (1, 2):
        (tmp_path / f"big-0000{number}-of-00002.gguf").write_bytes(gguf(pad=number))
    model = pull(f"file:{tmp_path / 'big-00001-of-00002.gguf'}", store, OFFLINE, progress)
    assert (model.facts.name, list(model.files)) == ("big", ["weights", "weights-2"])
    (tmp_path / "big-00002-of-00002.gguf").unlink()
    with pytest.raises(InvalidRequest, match="only 1 of the 2"):
        pull(f"file:{tmp_path / 'big-00001-of-00002.gguf'}", store, OFFLINE, progress)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"not a model", "not a readable GGUF"),
        (gguf(kind="adapter"), "adapter"),
        (gguf(kind="mmproj"), "mmproj"),
        (gguf(pooling=4), "reranker"),
        (gguf(architecture="bert"), "no pooling"),
    ],
)
def test_what_no_engine_serves_is_not_installed(
    tmp_path: Path, store: ModelStore, progress: Recorder, data: bytes, says: str
) -> None:
    """Files that are no text model are refused with the reason, and deleted."""
    origin = tmp_path / "odd.gguf"
    origin.write_bytes(data)
    with pytest.raises(InvalidRequest, match=says):
        pull(f"file:{origin}", store, OFFLINE, progress)
    assert not store.folder("odd").exists()
    assert origin.exists()


@pytest.mark.parametrize(("architecture", "pooling"), [("bert", 1), ("nomic-bert", 1), ("bert", 2), ("qwen3", 3)])
def test_embedding_models_are_recognized_by_their_header(
    tmp_path: Path, store: ModelStore, progress: Recorder, architecture: str, pooling: int
) -> None:
    """A file with a pooling in its header is an embedding model, whatever else it could do."""
    origin = tmp_path / "vectors.gguf"
    origin.write_bytes(gguf(architecture=architecture, pooling=pooling))
    facts = pull(f"file:{origin}", store, OFFLINE, progress).facts
    assert (facts.kind, facts.engine, facts.capabilities) == ("embeddings", "embeddings", ("embeddings",))
    assert facts.window == 4096


def test_a_missing_file_is_reported(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """A wrong path and a folder each have their own message."""
    with pytest.raises(NotFound, match="no file"):
        pull(f"file:{tmp_path / 'none.gguf'}", store, OFFLINE, progress)
    with pytest.raises(InvalidRequest, match="not a file"):
        pull(f"file:{tmp_path}", store, OFFLINE, progress)


def test_a_catalogue_name_is_not_given_to_another_model(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """A user's file cannot use the name of a model of the catalogue."""
    origin = tmp_path / "smollm2-135m.gguf"
    origin.write_bytes(gguf())
    with pytest.raises(InvalidRequest, match="--name"):
        pull(f"file:{origin}", store, OFFLINE, progress)


def test_a_file_that_is_cut_off_is_not_installed(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """A GGUF whose last tensor is incomplete is refused by name, copied or linked, and so is one part of a model."""
    origin = small_ggufs.cut(small_ggufs.model(tmp_path / "odd.gguf"), 1)
    for options in (OFFLINE, PullOptions(link=True)):
        with pytest.raises(InvalidRequest, match=r"odd\.gguf is truncated"):
            pull(f"file:{origin}", store, options, progress)
        assert not store.folder("odd").exists()
    small_ggufs.model(origin, part=(0, 2))
    with pytest.raises(InvalidRequest, match="part 1 of 2"):
        pull(f"file:{origin}", store, OFFLINE, progress)
    parts = [small_ggufs.model(tmp_path / f"big-0000{at + 1}-of-00002.gguf", part=(at, 2)) for at in range(2)]
    small_ggufs.cut(parts[1], 700)
    with pytest.raises(InvalidRequest, match=r"big-00002-of-00002\.gguf is truncated"):
        pull(f"file:{parts[0]}", store, OFFLINE, progress)
    assert not store.folder("big").exists()


def test_a_file_that_is_still_written_is_not_installed(tmp_path: Path, store: ModelStore) -> None:
    """A file that grows while it is copied is refused: another program still writes it."""
    origin = small_ggufs.model(tmp_path / "growing.gguf")

    class Writer(Recorder):
        def advance(self, size: int) -> None:
            super().advance(size)
            if origin.stat().st_size < 10_000:
                with origin.open("ab") as file:
                    file.write(bytes(10_000))

    with pytest.raises(Unavailable, match=r"growing\.gguf changed while"):
        pull(f"file:{origin}", store, OFFLINE, Writer())
    assert store.find("growing") is None
