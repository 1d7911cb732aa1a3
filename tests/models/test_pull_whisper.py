"""Whisper models in CTranslate2's format, pulled from a hub and recognized by their files."""

import json
import struct

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.models.fakes import REPO, FakeHub, Recorder, gguf

NAME = "tiny-gguf"  # the fake hub's one repository
HUBS = pytest.mark.parametrize("scheme", ["hf", "ms"])


def weights(kind: str = "WhisperSpec") -> bytes:
    """Return the beginning of a model file, as CTranslate2 writes it, and some more bytes."""
    name = kind.encode() + b"\0"
    return struct.pack("<IH", 6, len(name)) + name + bytes(5000)


@pytest.fixture
def filled(hub: FakeHub) -> FakeHub:
    hub.files = {
        "README.md": b"# Whisper",
        "model.bin": weights(),
        "config.json": b"{}",
        "tokenizer.json": b'{"model": {}}',
        "vocabulary.txt": b"token\n" * 51_865,
        "onnx/model.bin": b"another",
    }
    return hub


@HUBS
def test_a_repository_of_such_a_model_is_recognized(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """It gets the repository's name and all files that it needs, each under its role, and its capabilities."""
    model = pull(f"{scheme}:{REPO}", store, options, progress)
    assert {role: path.name for role, path in model.files.items()} == {
        "weights": "model.bin",
        "config": "config.json",
        "tokenizer": "tokenizer.json",
        "vocabulary": "vocabulary.txt",
    }
    assert model.files["weights"].read_bytes() == weights()
    facts = model.facts
    assert (facts.name, facts.kind, facts.engine) == (NAME, "transcription", "transcription")
    assert facts.capabilities == ("transcriptions", "translations")
    assert facts.licence == "unknown"
    assert store.find(NAME) == model


def test_a_later_model_includes_its_preprocessor(
    filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """The vocabulary of large-v3 is JSON, and its spectrogram settings are included."""
    del filled.files["vocabulary.txt"]
    filled.files["vocabulary.json"] = json.dumps(["token"] * 51_866).encode()
    filled.files["preprocessor_config.json"] = b'{"feature_size": 128}'
    model = pull(f"hf:{REPO}", store, options, progress)
    assert {"vocabulary", "preprocessor"} <= model.files.keys()
    assert "translations" in model.facts.capabilities


def test_a_model_of_english_alone_does_not_translate(
    filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """Its vocabulary is one token smaller."""
    filled.files["vocabulary.txt"] = b"token\n" * 51_864
    assert pull(f"hf:{REPO}", store, options, progress).facts.capabilities == ("transcriptions",)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.bin", weights("TransformerSpec"), "not a Whisper model"),
        ("model.bin", b"x", "not a Whisper model"),
        ("vocabulary.txt", b"\xff\xfe", "not a vocabulary"),
    ],
)
def test_a_similar_model_is_deleted(
    name: str, content: bytes, says: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """A translation model has the same files: it is refused by name, and deleted."""
    filled.files[name] = content
    with pytest.raises(InvalidRequest, match=says):
        pull(f"hf:{REPO}", store, options, progress)
    assert store.find(NAME) is None
    assert not store.folder(NAME).exists()


def test_a_repository_that_lacks_a_file_is_not_recognized(
    filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """Without its tokenizer a model could not run offline."""
    del filled.files["tokenizer.json"]
    with pytest.raises(InvalidRequest):
        pull(f"hf:{REPO}", store, options, progress)


def test_a_gguf_is_preferred(filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder) -> None:
    """A repository with both is one of a text model."""
    filled.files["Tiny-Q4_K_M.gguf"] = gguf(pad=1000)
    assert pull(f"hf:{REPO}", store, options, progress).facts.kind == "text"
