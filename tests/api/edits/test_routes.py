"""Edits: 2023's fields, its answer, and its paths."""

import json
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.domain.text import EditPrompt, SamplingParams
from tests.api.asgi import call
from tests.api.fakes import FakeServing, services
from tests.api.text_generation.calls import asked, every_choice, post


async def test_an_edit_asks_for_an_edit() -> None:
    """Input and instruction, choices and sampling reach the worker; the length is left to the window."""
    request = await asked("edits", n=2, temperature=0, top_p=0.5)
    assert request.prompts == (EditPrompt("helo", "Fix it"),)
    assert request.sampling == SamplingParams(temperature=0, top_p=0.5)
    assert (request.n, request.best_of, request.stopping.max_tokens) == (2, 2, None)


async def test_sampled_edits_are_the_likeliest_of_three_draws() -> None:
    """Above temperature 0, which is the default, three candidates are drawn for each edit asked for."""
    request = await asked("edits", n=2)
    assert (request.n, request.best_of, request.sampling.temperature) == (2, 6, 1.0)


async def test_no_input_is_an_empty_one() -> None:
    """`input` left out or null edits the empty text."""
    for nothing in (..., None):
        assert (await asked("edits", input=nothing)).prompts == (EditPrompt("", "Fix it"),)


async def test_an_answer_has_the_shape_of_2023() -> None:
    """Object, time, choices with text and index, and usage: no id, no finish reason."""
    body = (await post("edits", n=2)).json
    assert list(body) == ["object", "created", "choices", "usage"]
    assert body["object"] == "edit"
    assert body["choices"] == [{"text": "Hello there", "index": 0}, {"text": "Hello there", "index": 1}]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"instruction": ...}, "instruction"),
        ({"instruction": None}, "instruction"),
        ({"model": ...}, "model"),
        ({"n": 21}, "n"),
        ({"n": 0}, "n"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"stream": True}, "stream"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(changes: dict[str, Any], param: str) -> None:
    """A bad, missing or foreign field is a 400 naming it."""
    said = await post("edits", **changes)
    assert (said.status, said.error["param"]) == (400, param)


@pytest.mark.parametrize("kind", ["completions", "edits"])
@pytest.mark.parametrize(("model", "status"), [(..., 200), ("tiny", 200), ("other", 400)])
async def test_the_path_of_2023_names_the_model(kind: str, model: Any, status: int) -> None:
    """Under `/v1/engines/{id}` the path decides; a body that names another model is refused."""
    body = {"instruction": "x"} if kind == "edits" else {"prompt": "x"}
    if model is not ...:
        body["model"] = model
    app = build_application(services(FakeServing(every_choice)))
    said = await call(app, "POST", f"/v1/engines/tiny/{kind}", json.dumps(body).encode())
    assert said.status == status
    if status == 400:
        assert said.error["param"] == "model"
