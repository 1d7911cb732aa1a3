"""Edits: 2023's fields, answer and paths."""

import json
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.domain.text import EditPrompt, SamplingParams
from tests.api.asgi import call
from tests.api.fakes import FakeServing, services
from tests.api.text_generation.calls import every_choice, post, sent_request


async def test_edit_fields_reach_the_worker() -> None:
    """Input, instruction, choices and sampling reach the worker; the window limits the length."""
    request = await sent_request("edits", n=2, temperature=0, top_p=0.5)
    assert request.prompts == (EditPrompt("helo", "Fix it"),)
    assert request.sampling == SamplingParams(temperature=0, top_p=0.5)
    assert (request.n, request.best_of, request.stopping.max_tokens) == (2, 2, None)


async def test_sampled_edits_are_the_likeliest_of_three_draws() -> None:
    """Above temperature 0, which includes the default, three candidates are generated per edit."""
    request = await sent_request("edits", n=2)
    assert (request.n, request.best_of, request.sampling.temperature) == (2, 6, 1.0)


async def test_no_input_is_an_empty_one() -> None:
    """Without `input`, or with null, the empty text is edited."""
    for nothing in (..., None):
        assert (await sent_request("edits", input=nothing)).prompts == (EditPrompt("", "Fix it"),)


async def test_an_answer_has_the_shape_of_2023() -> None:
    """The answer has object, time, choices with text and index, and usage: no id, no finish reason."""
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
    """A bad, missing or unknown field is a 400 that names it."""
    response = await post("edits", **changes)
    assert (response.status, response.error["param"]) == (400, param)


@pytest.mark.parametrize("kind", ["completions", "edits"])
@pytest.mark.parametrize(("model", "status"), [(..., 200), ("tiny", 200), ("other", 400)])
async def test_the_path_of_2023_names_the_model(kind: str, model: Any, status: int) -> None:
    """Under `/v1/engines/{id}` the path names the model; a body that names another is refused."""
    body = {"instruction": "x"} if kind == "edits" else {"prompt": "x"}
    if model is not ...:
        body["model"] = model
    app = build_application(services(FakeServing(every_choice)))
    response = await call(app, "POST", f"/v1/engines/tiny/{kind}", json.dumps(body).encode())
    assert response.status == status
    if status == 400:
        assert response.error["param"] == "model"
