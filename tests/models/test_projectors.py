"""Projectors: which one of a repository belongs to a model, and what a model can do with it."""

from pathlib import Path

import msgspec
import pytest

from homeport.domain.errors import InvalidRequest, NotFound
from homeport.models import catalogue, projectors
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from homeport.models.sources.protocol import RemoteFile
from tests.models.fakes import REPO, FakeHub, Recorder, gguf

SEES, HEARS = "clip.has_vision_encoder", "clip.has_audio_encoder"
WEIGHTS = gguf(pad=3000)
EYE = gguf(kind="mmproj", architecture="clip", flags=(SEES,), pad=1000)
OFFLINE = PullOptions(offline=True)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf"), "mmproj-F16.gguf"),
        (("mmproj-Tiny-BF16.gguf", "mmproj-Tiny-Q8_0.gguf"), "mmproj-Tiny-Q8_0.gguf"),
        (("mmproj-Tiny-4B-f16.gguf", "mmproj-Tiny-2B-f16.gguf"), "mmproj-Tiny-2B-f16.gguf"),
        (("model.mmproj.gguf",), "model.mmproj.gguf"),
        (("mmproj.bin", "readme.md"), None),
    ],
)
def test_the_projector_is_chosen_by_its_name(names: tuple[str, ...], chosen: str | None) -> None:
    """The one whose name has most words of the model's is used, of these the one in the best format."""
    found = projectors.choose([RemoteFile(name, 1) for name in names], "Tiny-2B-Q4_K_M", None)
    assert (found and found.name) == chosen


@pytest.mark.parametrize("scheme", ["hf", "ms"])
def test_a_hubs_projector_comes_with_its_model(
    scheme: str, hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """A pull takes the model and its projector, each with its hash, and the model then sees."""
    hub.files = {"Tiny-Q4_K_M.gguf": WEIGHTS, "mmproj-Tiny-F16.gguf": EYE, "mmproj-Tiny-BF16.gguf": b"x"}
    model = pull(f"{scheme}:{REPO}", store, options, progress)
    assert {role: path.name for role, path in model.files.items()} == {
        "weights": "Tiny-Q4_K_M.gguf",
        "projector": "mmproj-Tiny-F16.gguf",
    }
    assert model.facts.capabilities == ("chat", "completions", "edits", "vision")
    assert model.facts.modalities == ("text", "image")
    assert model.facts.size_bytes == len(WEIGHTS) + len(EYE) == progress.size
    assert all(len(file.sha256) == 64 for file in store.manifest("tiny-q4_k_m").files)


def test_a_model_can_be_pulled_without_its_projector(
    hub: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """With the projector `none`, only the text model is fetched."""
    hub.files = {"Tiny-Q4_K_M.gguf": WEIGHTS, "mmproj-F16.gguf": EYE}
    model = pull(f"hf:{REPO}", store, _with(options, "none"), progress)
    assert (list(model.files), model.facts.modalities) == (["weights"], ("text",))
    with pytest.raises(InvalidRequest, match=r"no projector `mmproj-Q8_0\.gguf`: there is mmproj-F16\.gguf"):
        pull(f"hf:{REPO}", store, _with(options, "mmproj-Q8_0.gguf"), progress)


def test_a_file_gets_the_projector_that_is_named(tmp_path: Path, store: ModelStore, progress: Recorder) -> None:
    """A model from a file sees with a projector of any name and folder; one that lies beside it is not taken."""
    origin, other = tmp_path / "tiny.gguf", tmp_path / "elsewhere"
    origin.write_bytes(WEIGHTS)
    (tmp_path / "mmproj-F16.gguf").write_bytes(EYE)
    other.mkdir()
    (other / "eye.gguf").write_bytes(gguf(kind="mmproj", architecture="clip", flags=(SEES, HEARS)))
    assert list(pull(f"file:{origin}", store, OFFLINE, progress).files) == ["weights"]
    model = pull(f"file:{origin}", store, _with(OFFLINE, str(other / "eye.gguf")), progress)
    assert model.files["projector"].read_bytes() == (other / "eye.gguf").read_bytes()
    assert model.facts.capabilities[-2:] == ("vision", "audio_input")
    assert model.facts.modalities == ("text", "image", "audio")
    with pytest.raises(NotFound, match=r"no file .*missing\.gguf"):
        pull(f"file:{origin}", store, _with(OFFLINE, str(other / "missing.gguf")), progress)


@pytest.mark.parametrize(
    ("data", "says"),
    [(WEIGHTS, "is not a projector"), (gguf(kind="mmproj", architecture="clip"), "neither a vision encoder")],
)
def test_another_file_is_no_projector(
    data: bytes, says: str, tmp_path: Path, store: ModelStore, progress: Recorder
) -> None:
    """A model in place of a projector, or a projector that neither sees nor hears, is refused, and nothing changes."""
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)
    (tmp_path / "odd.gguf").write_bytes(data)
    with pytest.raises(InvalidRequest, match=says):
        pull(f"file:{tmp_path}/tiny.gguf", store, _with(OFFLINE, str(tmp_path / "odd.gguf")), progress)
    assert store.find("tiny") is None
    assert not list(store.folder("tiny").glob("*.gguf"))
    pull(f"file:{tmp_path}/tiny.gguf", store, OFFLINE, progress)
    with pytest.raises(InvalidRequest, match=says):
        pull(f"file:{tmp_path}/tiny.gguf", store, _with(OFFLINE, str(tmp_path / "odd.gguf")), progress)
    store.verify("tiny")


def test_the_catalogue_says_which_models_see() -> None:
    """The families with a projector have it in each source, and can be taken without."""
    seeing = [entry for entry in catalogue.built_in().models if "vision" in entry.capabilities]
    assert {"gemma-3", "gemma-4", "qwen3-vl", "smolvlm", "internvl3", "minicpm-v"} == {each.family for each in seeing}
    for entry in seeing:
        assert all("projector" in {file.role for file in source.files} for source in entry.sources)
        assert not entry.is_tested
        assert entry.facts(0, 0).modalities == ("text", "image")
        blind = entry.without_projector()
        assert "vision" not in blind.capabilities
        assert all(file.role != "projector" for source in blind.sources for file in source.files)


def _with(options: PullOptions, projector: str) -> PullOptions:
    return msgspec.structs.replace(options, projector=projector)
