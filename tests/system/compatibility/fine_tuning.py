"""For every field that creates a fine-tuning job: a value that changes the job, and the change to check."""

from collections.abc import Mapping
from typing import Any

from tests.api.form_bodies import HEADERS, form
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes
from tests.system.server import HttpAnswer

_PAIR = b'{"prompt": "Is it ham?", "completion": " no"}\n'
_PREFERENCE = (
    b'{"input": {"messages": [{"role": "user", "content": "q"}]}, "preferred_output": [{"role": "assistant", '
    b'"content": "y"}], "non_preferred_output": [{"role": "assistant", "content": "n"}]}\n'
)
_CLASSES = {
    "validation_file": _PAIR,
    "compute_classification_metrics": True,
    "classification_n_classes": 2,
    "classification_positive_class": " no",
}


class FineTuningTrial(EndpointTrial):
    """Creates a job. A file that is given by its content is uploaded first."""

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Send the body as JSON."""
        named = {name: self._sent(value) if isinstance(value, bytes) else value for name, value in body.items()}
        return super().send(named)

    def _sent(self, content: bytes) -> str:
        body = form([("purpose", "fine-tune")], [("file", content)])
        said = self.server.call("POST", "/v1/files", body, {"Content-Type": HEADERS["content-type"]})
        assert said.status == 200, said.body
        return str(said.json()["id"])


def _training_file(trial: EndpointTrial) -> None:
    said = trial.ask(training_file=_PAIR * 3)
    found = said["training_files"][0] if "training_files" in said else _file(trial, said["training_file"])
    assert found["bytes"] == 3 * len(_PAIR)
    assert trial.raw(training_file=...).error["param"] == "training_file"
    assert trial.raw(training_file="file-none").error["param"] == "training_file"


def _validation_file(trial: EndpointTrial) -> None:
    said = trial.ask(validation_file=_PAIR * 2)
    found = said["validation_files"][0] if "validation_files" in said else _file(trial, said["validation_file"])
    assert found["bytes"] == 2 * len(_PAIR)
    assert trial.raw(validation_file="file-none").error["param"] == "validation_file"


def _file(trial: EndpointTrial, file_id: str) -> Any:
    return trial.server.call("GET", f"/v1/files/{file_id}").json()


def _model(trial: EndpointTrial) -> None:
    assert trial.ask(model="davinci")["model"] == "davinci"
    assert trial.raw(model="nobody").status == 404


def _hyperparam(name: str, value: Any, wrong: Any) -> Effect:
    def look(trial: EndpointTrial) -> None:
        assert trial.ask(**{name: value})["hyperparams"][name] == value
        assert trial.raw(**{name: wrong}).error["param"] == name

    return look


def _suffix(most: int) -> Effect:
    def look(trial: EndpointTrial) -> None:
        assert trial.raw(suffix="x" * most).status == 200
        assert trial.raw(suffix="x" * (most + 1)).error["param"] == "suffix"

    return look


def _classification(name: str, value: Any, wrong: Any) -> Effect:
    def look(trial: EndpointTrial) -> None:
        assert trial.ask(**{**_CLASSES, name: value})["hyperparams"][name] == value
        assert trial.raw(**{**_CLASSES, name: wrong}).error["param"] == name

    return look


def _classification_metrics(trial: EndpointTrial) -> None:
    assert trial.ask(**_CLASSES)["hyperparams"]["compute_classification_metrics"] is True
    assert "compute_classification_metrics" not in trial.ask()["hyperparams"]
    assert trial.raw(compute_classification_metrics=True).error["param"] == "compute_classification_metrics"


def _method(trial: EndpointTrial) -> None:
    assert trial.ask()["method"]["type"] == "supervised"
    assert trial.ask(training_file=_PREFERENCE, method={"type": "dpo"})["method"]["type"] == "dpo"


def _type(trial: EndpointTrial) -> None:
    _method(trial)
    assert trial.raw(method={"type": "reinforcement"}).error["param"] == "method.type"
    assert trial.raw(method={"type": "dpo"}).error["param"] == "training_file"


def _supervised(trial: EndpointTrial) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    assert trial.ask(method=method)["method"]["supervised"]["hyperparameters"]["n_epochs"] == 2
    assert trial.raw(method={"type": "dpo", "supervised": {}}).error["param"] == "method.supervised"


def _dpo(trial: EndpointTrial) -> None:
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.5}}}
    said = trial.ask(training_file=_PREFERENCE, method=method)
    assert said["method"]["dpo"]["hyperparameters"]["beta"] == 0.5
    assert trial.raw(method={"type": "supervised", "dpo": {}}).error["param"] == "method.dpo"


def _hyperparameters(trial: EndpointTrial) -> None:
    said = trial.ask(hyperparameters={"n_epochs": 2, "batch_size": "auto"})
    assert said["method"]["supervised"]["hyperparameters"]["n_epochs"] == 2


def _hyperparameter(name: str, value: Any, wrong: Any) -> Effect:
    def look(trial: EndpointTrial) -> None:
        assert trial.ask(hyperparameters={name: value})["hyperparameters"][name] == value
        assert trial.ask(hyperparameters={name: "auto"})["hyperparameters"][name] == "auto"
        assert trial.raw(hyperparameters={name: wrong}).error["param"] == f"hyperparameters.{name}"

    return look


def _seed(trial: EndpointTrial) -> None:
    assert trial.ask(seed=42)["seed"] == 42
    assert trial.raw(seed=-1).error["param"] == "seed"


def _metadata(trial: EndpointTrial) -> None:
    job = trial.ask(metadata={"probe": "b"})
    assert job["metadata"] == {"probe": "b"}
    listed = trial.server.call("GET", "/v1/fine_tuning/jobs?metadata[probe]=b").json()["data"]
    assert job["id"] in [each["id"] for each in listed]


_FILES: Mapping[str, Effect] = {"training_file": _training_file, "validation_file": _validation_file, "model": _model}
PROBES: Mapping[str, Probes] = {
    "fine_tunes": Probes(
        path="/v1/fine-tunes",
        plain={"training_file": _PAIR},
        effects={
            **_FILES,
            "n_epochs": _hyperparam("n_epochs", 2, 0),
            "batch_size": _hyperparam("batch_size", 2, 257),
            "learning_rate_multiplier": _hyperparam("learning_rate_multiplier", 0.5, 0),
            "prompt_loss_weight": _hyperparam("prompt_loss_weight", 0.5, 2),
            "compute_classification_metrics": _classification_metrics,
            "classification_n_classes": _classification("classification_n_classes", 3, 1),
            "classification_positive_class": _classification("classification_positive_class", " yes", ""),
            "classification_betas": _classification("classification_betas", [0.5, 2.0], [0]),
            "suffix": _suffix(40),
        },
        trial_type=FineTuningTrial,
    ),
    "fine_tuning_jobs": Probes(
        path="/v1/fine_tuning/jobs",
        plain={"model": "smollm2-135m", "training_file": _PAIR},
        effects={
            **_FILES,
            "method": _method,
            "method.type": _type,
            "method.supervised": _supervised,
            "method.supervised.hyperparameters": _supervised,
            "method.dpo": _dpo,
            "method.dpo.hyperparameters": _dpo,
            "hyperparameters": _hyperparameters,
            "hyperparameters.n_epochs": _hyperparameter("n_epochs", 2, 51),
            "hyperparameters.batch_size": _hyperparameter("batch_size", 2, 257),
            "hyperparameters.learning_rate_multiplier": _hyperparameter("learning_rate_multiplier", 0.5, 0),
            "suffix": _suffix(64),
            "seed": _seed,
            "metadata": _metadata,
        },
        refused={
            "method.reinforcement": {"method": {"type": "supervised", "reinforcement": {"grader": {}}}},
            "integrations": {"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]},
        },
        trial_type=FineTuningTrial,
    ),
}
