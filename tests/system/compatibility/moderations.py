"""For every field of the moderations endpoint: a value that changes the answer, and the change to check."""

from collections.abc import Mapping
from typing import Any

from tests.system.compatibility.field_trials import EndpointTrial, Probes

MODEL = "homeport-moderation"


class ModerationTrial(EndpointTrial):
    """Requests verdicts."""

    def results(self, **changed: Any) -> list[Any]:
        """Return the results of all inputs."""
        return list(self.ask(**changed)["results"])


def _model(trial: ModerationTrial) -> None:
    answer = trial.raw(model="text-moderation-latest")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.json()["model"] == "text-moderation-latest"
    sizes = {name: len(trial.results(model=name)[0]["categories"]) for name in (MODEL, "text-moderation-001")}
    assert sizes == {MODEL: 13, "text-moderation-001": 7}
    assert trial.raw(model="nobody").status == 404


def _input(trial: ModerationTrial) -> None:
    fine, threat = trial.results(input=["Good morning!", "I am going to kill you tonight."])
    assert (fine["flagged"], threat["flagged"]) == (False, True)
    assert len(trial.results(input=[{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}])) == 1


PROBES: Mapping[str, Probes] = {
    "moderations": Probes(
        "/v1/moderations",
        {"model": MODEL, "input": "Hello"},
        {"model": _model, "input": _input},
        trial_type=ModerationTrial,
    )
}
