"""From accepted tasks to models: names, what is refused, checkpoints, cancels, fine-tuned base models."""

import csv
import importlib.util
import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import msgspec
import pytest

from homeport.app.fine_tuning import training_service
from homeport.domain.errors import InvalidRequest, ModelNotFound, Unavailable
from homeport.domain.models import ADAPTER
from homeport.domain.training import (
    CheckpointSaved,
    Classification,
    Hyperparameters,
    StepMetrics,
    TrainingEvent,
    TrainingTask,
)
from homeport.models.model_store import ModelStore
from homeport.models.references import folder_name
from homeport.settings import Settings
from homeport.training.service import LocalTrainingService
from tests.models.test_fine_tuned import NAME, tuned
from tests.models.test_registry import SMALL, put
from tests.training import examples


@pytest.fixture
def service(tmp_path: Path) -> LocalTrainingService:
    """Return a service whose store holds a model that is not real."""
    put(ModelStore(tmp_path), SMALL)
    return training_service(Settings(home=tmp_path, organization="My Org"))


def test_names_are_openais_and_can_be_folders(service: LocalTrainingService) -> None:
    """A name has model, organization and suffix, whatever the user wrote; a checkpoint's is one part longer."""
    name = service.model_name("smollm2-135m", "Wörter & so", "0a1b2c3d")
    assert name == "ft:smollm2-135m:my-org:w-rter-so:0a1b2c3d"
    assert folder_name(f"{name}:ckpt-step-10") == f"{name}:ckpt-step-10".replace(":", "+")
    assert service.model_name("m", None, "0a1b2c3d") == "ft:m:my-org::0a1b2c3d"
    assert folder_name(service.model_name("m", "企业", "0a1b2c3d"))
    with pytest.raises(InvalidRequest, match="64 characters"):
        service.model_name("m", "x" * 65, "0")


def test_only_a_model_in_one_file_is_accepted(
    service: LocalTrainingService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model is accepted with its hash, a fine-tuned one with two; others are refused, and any without PyTorch."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None))
    tuned(ModelStore(tmp_path), tmp_path)
    digest = ModelStore(tmp_path).manifest(SMALL).digest
    assert service.check_model(SMALL) == digest
    assert service.check_model(NAME).startswith(f"{digest}+")
    assert service.model_name(NAME, None, "1") == f"ft:{SMALL}:my-org::1"
    with pytest.raises(ModelNotFound):
        service.check_model("nobody")
    with pytest.raises(InvalidRequest, match="have changed"):
        service.prepare_run(TrainingTask("1", "ft:a:b:c:1", SMALL, f"not {digest}", tmp_path / "file"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=r"homeport\[train\]"):
        service.check_model(SMALL)


@pytest.fixture
def real(tmp_path: Path, smollm2: Path) -> LocalTrainingService:
    """Return a service whose store holds the small model."""
    (tmp_path / "models").mkdir()
    ModelStore(tmp_path).folder(SMALL).symlink_to(smollm2.parent)
    return training_service(Settings(home=tmp_path, threads=1))


def work(service: LocalTrainingService, file: Path, model: str = SMALL, identity: str = "1") -> TrainingTask:
    """Return a task of four epochs, owned by a project, in steps of four."""
    chosen = Hyperparameters(n_epochs=4, batch_size=4)
    name = service.model_name(model, None, identity)
    return TrainingTask(f"job-{identity}", name, model, service.check_model(model), file, None, chosen, "team", True)


@pytest.mark.training
def test_checkpoints_and_the_end_are_models(real: LocalTrainingService, tmp_path: Path) -> None:
    """The last three epochs' checkpoints are models of their project; run again, existing ones are returned at once."""
    task = work(real, examples.raw(tmp_path / "raw.jsonl", 4))
    events: list[TrainingEvent] = []
    done = real.prepare_run(task).run(events.append)
    assert done
    assert (done.model, done.tokens > 0) == (task.name, True)
    assert done.results.read_text().count("\n") == 5
    saved = [event.model for event in events if isinstance(event, CheckpointSaved) and event.model]
    assert saved == [f"{task.name}:ckpt-step-{step}" for step in (1, 2, 3, 4)]
    store = ModelStore(tmp_path)
    assert set(store.names()) == {SMALL, task.name, *saved[1:]}
    for name in (task.name, saved[-1]):
        found = store.find(name)
        assert found
        assert (found.parent, found.project) == (SMALL, "team")
    first, last = (ModelStore(tmp_path).find(name) for name in (task.name, saved[-1]))
    assert first
    assert last
    assert first.files[ADAPTER].read_bytes()[-1000:] == last.files[ADAPTER].read_bytes()[-1000:]
    assert not list((tmp_path / "tuning").iterdir())
    events.clear()
    assert real.prepare_run(task).run(events.append) == done
    assert events == []


@pytest.mark.training
def test_a_fine_tuned_model_is_trained_further(real: LocalTrainingService, tmp_path: Path) -> None:
    """It starts with the adapter, and the result adapts the same base model."""
    file = examples.raw(tmp_path / "raw.jsonl", 8)
    events: list[TrainingEvent] = []
    first = real.prepare_run(work(real, file)).run(events.append)
    assert first
    again = work(real, file, first.model, "2")
    assert again.name == f"ft:{SMALL}:homeport::2"
    second = real.prepare_run(again).run(events.append)
    assert second
    found = ModelStore(tmp_path).find(second.model)
    assert found
    assert found.parent == SMALL
    losses = [event.train_loss for event in events if isinstance(event, StepMetrics)]
    assert len(losses) == 16
    assert losses[8] < losses[0] / 2


@pytest.mark.training
def test_a_cancelled_one_leaves_nothing(real: LocalTrainingService, tmp_path: Path) -> None:
    """Stopped before or while it runs it returns nothing; discarded, its folder and its checkpoints are gone."""
    task = work(real, examples.raw(tmp_path / "raw.jsonl", 4))
    early = real.prepare_run(task)
    early.stop()
    assert early.run(lambda _: None) is None
    training = real.prepare_run(task)

    def on_event(event: TrainingEvent) -> None:
        if isinstance(event, CheckpointSaved):
            training.stop()

    assert training.run(on_event) is None
    assert len(ModelStore(tmp_path).names()) > 1
    training.discard()
    assert ModelStore(tmp_path).names() == [SMALL]
    assert not list((tmp_path / "tuning").iterdir())


@pytest.mark.training
def test_classes_are_distinguished_in_the_end(real: LocalTrainingService, tmp_path: Path) -> None:
    """The result file has the classification columns of the legacy API, once per epoch, and they improve."""
    file, other = tmp_path / "train.jsonl", tmp_path / "valid.jsonl"
    fruits, animals = ("apple", "pear", "plum", "cherry"), ("cat", "horse", "cow", "dog")
    lines = [(f"{noun} ->", kind) for kind, nouns in ((" fruit", fruits), (" animal", animals)) for noun in nouns]
    text = [json.dumps({"prompt": prompt, "completion": kind}) + "\n" for prompt, kind in lines]
    file.write_text("".join(text))
    other.write_text("".join(text[1::2]))
    chosen = Hyperparameters(n_epochs=6, batch_size=2, classification=Classification(2, "fruit", (0.5,)))
    task = msgspec.structs.replace(work(real, file), validation_file=other, hyperparameters=chosen)
    done = real.prepare_run(task).run(lambda _: None)
    assert done
    rows = [row for row in csv.DictReader(done.results.read_text().splitlines()) if row["classification/accuracy"]]
    assert [row["step"] for row in rows] == ["4", "8", "12", "16", "20", "24"]
    assert {"classification/auroc", "classification/auprc", "classification/f0.5"} <= set(rows[-1])
    assert float(rows[-1]["classification/accuracy"]) == 1.0
