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


def _model(desk: EmbeddingTrial) -> None:
    answer = desk.raw(model="text-embedding-3-small")
    assert answer.headers["x-homeport-model"] == MODEL
    assert answer.json()["model"] == "text-embedding-3-small"
    assert desk.raw(model="nobody").status == 404


def _input(desk: EmbeddingTrial) -> None:
    one, other = desk.vectors(input=["One", "Another"])
    assert one != other
    assert len(desk.vectors(input=[[9906, 1917], [9906]], model="text-embedding-ada-002")) == 2


def _encoding_format(desk: EmbeddingTrial) -> None:
    (plain,), (encoded,) = desk.vectors(), desk.vectors(encoding_format="base64")
    assert len(base64.b64decode(encoded)) == 4 * len(plain)


def _dimensions(desk: EmbeddingTrial) -> None:
    assert [len(vector) for vector in desk.vectors(dimensions=384)] == [384]
    refused = desk.raw(dimensions=256)
    assert (refused.status, refused.error["param"]) == (400, "dimensions")


PROBES: Mapping[str, Probes] = {
    "embeddings": Probes(
        "/v1/embeddings",
        {"model": MODEL, "input": "Hello world"},
        {"model": _model, "input": _input, "encoding_format": _encoding_format, "dimensions": _dimensions},
        {"user": "somebody"},
        desk=EmbeddingTrial,
    )
}
