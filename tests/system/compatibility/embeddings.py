"""For every field of the embeddings endpoint: a value that changes the answer, and the change to check."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.system.compatibility.field_trials import EndpointTrial, Probes

MODEL = "multilingual-e5-small"


class EmbeddingTrial(EndpointTrial):
    """Requests vectors."""

    def vectors(self, **changed: Any) -> list[Any]:
        """Return the vectors of all inputs, as they are in the answer."""
        return [each["embedding"] for each in self.ask(**changed)["data"]]


def _model(trial: EmbeddingTrial) -> None:
    answer = trial.raw(model="text-embedding-3-small")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.json()["model"] == "text-embedding-3-small"
    assert trial.raw(model="nobody").status == 404


def _input(trial: EmbeddingTrial) -> None:
    one, other = trial.vectors(input=["One", "Another"])
    assert one != other
    assert len(trial.vectors(input=[[9906, 1917], [9906]], model="text-embedding-ada-002")) == 2


def _messages(trial: EmbeddingTrial) -> None:
    vectors = [trial.vectors(input=..., messages=[{"role": "user", "content": text}]) for text in ("One", "Another")]
    assert vectors[0] != vectors[1]


def _encoding_format(trial: EmbeddingTrial) -> None:
    (plain,), (encoded,) = trial.vectors(), trial.vectors(encoding_format="base64")
    assert len(base64.b64decode(encoded)) == 4 * len(plain)


def _dimensions(trial: EmbeddingTrial) -> None:
    assert [len(vector) for vector in trial.vectors(dimensions=384)] == [384]
    refused = trial.raw(dimensions=256)
    assert (refused.status, refused.error["param"]) == (400, "dimensions")


PROBES: Mapping[str, Probes] = {
    "embeddings": Probes(
        "/v1/embeddings",
        {"model": MODEL, "input": "Hello world"},
        {
            "model": _model,
            "input": _input,
            "messages": _messages,
            "encoding_format": _encoding_format,
            "dimensions": _dimensions,
        },
        {"user": "somebody"},
        trial_type=EmbeddingTrial,
    )
}
