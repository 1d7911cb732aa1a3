"""Layouts on disk: stored in addition to the original, switched, and never partial."""

import hashlib
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, ModelNotFound, Unavailable
from homeport.domain.models import ModelFacts
from homeport.domain.operations import NullProgress
from homeport.domain.weight_layouts import (
    ORIGINAL,
    Fidelity,
    LayoutBenchmarkEvent,
    LayoutBenchmarkJob,
    OptimizeOptions,
    Speed,
    Trial,
)
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from homeport.models.weight_layouts import find_best_layout

WAS, NOW = Speed(200, 100, 100), Speed(400, 200, 200)
GOOD, BAD = Fidelity(18.0, 18.0, 0.01, 0.93), Fidelity(21.0, 18.0, 0.5, 0.6)


@pytest.fixture
def filled(store: ModelStore) -> ModelStore:
    """Return a store with one model of one file."""
    folder = store.folder("tiny")
    folder.mkdir(parents=True)
    (folder / "tiny.Q4_1.gguf").write_bytes(b"fetched")
    file = StoredFile("tiny.Q4_1.gguf", "weights", 7, hashlib.sha256(b"fetched").hexdigest())
    store.commit(Manifest(ModelFacts("tiny", "text", "text"), "file", None, (file,)))
    return store


def measured(survey: LayoutBenchmarkJob) -> LayoutBenchmarkEvent:
    """Rate Q8_0 good and Q4_0 bad, as a benchmark process would: each in its part file."""
    names = [survey.layout] if survey.layout else ["q4_0", "q8_0"]
    for name in names:
        survey.part(name).write_bytes(name.encode())
    scored = {"q8_0": GOOD, "q4_0": BAD}
    return LayoutBenchmarkEvent(
        kernels="k", machine="m", trials=tuple(Trial(name, NOW, WAS, 4, scored[name]) for name in names)
    )


def listing(store: ModelStore) -> list[str]:
    return sorted(path.name for path in store.folder("tiny").iterdir())


def test_the_best_is_kept_beside_the_original(filled: ModelStore) -> None:
    """The chosen layout is loaded from now on, has another digest, and all measurements are in the manifest."""
    before = filled.find("tiny")
    outcome = find_best_layout(filled, "tiny", OptimizeOptions(), measured, NullProgress())
    assert (outcome.layout, outcome.is_changed) == ("q8_0", True)
    after = ModelStore(filled.home).find("tiny")
    assert before is not None
    assert after is not None
    assert (after.layout, after.files["weights"].read_bytes()) == ("q8_0", b"q8_0")
    assert after.digest == hashlib.sha256(b"q8_0").hexdigest() != before.digest
    kept = filled.manifest("tiny").layouts[0]
    assert (kept.trial.fidelity, kept.kernels, kept.machine) == (GOOD, "k", "m")
    assert listing(filled) == ["manifest.json", "tiny.Q4_1.gguf", "tiny.Q4_1.q8_0.gguf"]
    filled.verify("tiny")


def test_a_store_can_return_the_original_layout(filled: ModelStore) -> None:
    """With `original` every model is returned as it was pulled, whatever is active."""
    before = filled.find("tiny")
    find_best_layout(filled, "tiny", OptimizeOptions(), measured, NullProgress())
    assert ModelStore(filled.home, ORIGINAL).find("tiny") == before
    assert ModelStore(filled.home, ORIGINAL).installed() == [before]


def test_going_back_and_forth_measures_nothing(filled: ModelStore) -> None:
    """Switching to `original` or an existing layout only changes the manifest."""
    find_best_layout(filled, "tiny", OptimizeOptions(), measured, NullProgress())

    def never(survey: LayoutBenchmarkJob) -> LayoutBenchmarkEvent:
        raise AssertionError(survey)

    assert find_best_layout(filled, "tiny", OptimizeOptions(ORIGINAL), never, NullProgress()).layout == ORIGINAL
    found = filled.find("tiny")
    assert found is not None
    assert found.files["weights"].name == "tiny.Q4_1.gguf"
    assert find_best_layout(filled, "tiny", OptimizeOptions("q8_0"), never, NullProgress()).is_changed
    assert filled.manifest("tiny").active == "q8_0"


def test_a_lossy_layout_is_taken_when_named(filled: ModelStore) -> None:
    """A user may choose what the rule would refuse."""
    assert find_best_layout(filled, "tiny", OptimizeOptions("q4_0"), measured, NullProgress()).layout == "q4_0"
    assert filled.manifest("tiny").active == "q4_0"


def test_a_dry_run_changes_nothing(filled: ModelStore) -> None:
    """`is_dry` returns the measurements and changes neither folder nor manifest."""
    before = listing(filled), filled.manifest("tiny")
    outcome = find_best_layout(filled, "tiny", OptimizeOptions(is_dry=True), measured, NullProgress())
    assert (len(outcome.trials), outcome.is_changed, outcome.layout) == (2, False, ORIGINAL)
    assert (listing(filled), filled.manifest("tiny")) == before


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Unavailable("the kernels abort")], ids=repr)
def test_an_interruption_leaves_nothing(filled: ModelStore, end: BaseException) -> None:
    """However measuring ends, no unfinished file stays and the model is as before."""
    before = listing(filled), filled.manifest("tiny")

    def cut(survey: LayoutBenchmarkJob) -> LayoutBenchmarkEvent:
        measured(survey)
        raise end

    with pytest.raises(type(end)):
        find_best_layout(filled, "tiny", OptimizeOptions(), cut, NullProgress())
    assert (listing(filled), filled.manifest("tiny")) == before


def test_a_lost_layout_file_falls_back(filled: ModelStore, caplog: pytest.LogCaptureFixture) -> None:
    """If the active layout's file is missing, the model is served as pulled, and the log says so."""
    find_best_layout(filled, "tiny", OptimizeOptions(), measured, NullProgress())
    (filled.folder("tiny") / "tiny.Q4_1.q8_0.gguf").unlink()
    found = filled.find("tiny")
    assert found is not None
    assert (found.layout, found.files["weights"].name) == (ORIGINAL, "tiny.Q4_1.gguf")
    assert "tiny.Q4_1.q8_0.gguf" in caplog.text


def test_removal_takes_all_layouts(filled: ModelStore) -> None:
    """`rm` deletes both files."""
    find_best_layout(filled, "tiny", OptimizeOptions(), measured, NullProgress())
    folder = filled.folder("tiny")
    filled.remove("tiny")
    assert not folder.exists()


def test_invalid_options_are_refused_by_name(filled: ModelStore, tmp_path: Path) -> None:
    """An unknown layout, or a model that is not installed, is refused by name."""
    with pytest.raises(InvalidRequest, match=r"q3_9.*q8_0"):
        find_best_layout(filled, "tiny", OptimizeOptions("q3_9"), measured, NullProgress())
    with pytest.raises(ModelNotFound, match="absent"):
        find_best_layout(filled, "absent", OptimizeOptions(), measured, NullProgress())


def test_a_full_disk_is_said_before_any_work(filled: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Space for all candidates is checked first."""

    def full(folder: Path, size: int) -> None:
        raise Unavailable(f"no room for {size} bytes")

    monkeypatch.setattr("homeport.models.disk.require_space", full)
    with pytest.raises(Unavailable, match="no room for 42 bytes"):
        find_best_layout(filled, "tiny", OptimizeOptions(), measured, NullProgress())
