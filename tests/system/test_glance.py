"""homeport-glance-256 over real HTTP: texts and pictures in one request, and what it never stands for."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from tests.system.server import ServerProcess, running

MODEL, PICTURES = "homeport-glance-256", Path(__file__).parents[1] / "data" / "glance"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, glance: Mapping[str, Path]) -> Iterator[openai.OpenAI]:
    """A client of a server with the model."""
    assert glance
    with running(tmp_path_factory.mktemp("glance") / "log", "--model", MODEL) as server, connected(server) as made:
        yield made


def connected(server: ServerProcess) -> openai.OpenAI:
    """Return a client."""
    return openai.OpenAI(base_url=server.base, api_key="x", max_retries=0)


def picture(name: str) -> dict[str, Any]:
    """Return an input with a picture."""
    data = base64.b64encode((PICTURES / f"{name}.webp").read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/webp;base64,{data}"}}


def test_texts_and_pictures_share_a_space(client: openai.OpenAI) -> None:
    """In one request of both, each picture is nearest to its name, and usage counts tokens and places."""
    names = ("a dog", "汽车", "eine Gitarre")
    inputs: Any = [names[0], picture("dog"), picture("car"), names[1], names[2], picture("guitar")]
    answer = client.embeddings.create(model=MODEL, input=inputs, encoding_format="float")
    rows = np.array([each.embedding for each in answer.data])
    assert rows.shape == (6, 256)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert ((rows[[0, 3, 4]] @ rows[[1, 2, 5]].T).argmax(1) == np.arange(3)).all()
    assert answer.usage.prompt_tokens > 3 * 81


def test_it_is_listed_with_what_it_can_do(client: openai.OpenAI) -> None:
    """The list of models says that it embeds texts and images."""
    (listed,) = [each for each in client.models.list() if each.id == MODEL]
    extra = listed.model_extra or {}
    assert {"embeddings", "image_embeddings"} <= set(extra["capabilities"])


def test_it_never_answers_as_clip(client: openai.OpenAI) -> None:
    """The alias `clip` stands for an installed CLIP or is unknown, though this model is there."""
    try:
        answered = client.embeddings.with_raw_response.create(model="clip", input="a dog").headers["x-homeport-model"]
    except openai.NotFoundError as error:
        answered = str(error)
        assert "clip" in answered
    assert answered != MODEL
