import base64
import json
import struct
from typing import Any

import pytest

from homeport.api.metrics import Metrics
from homeport.domain.errors import ContextOverflow
from homeport.domain.events import Admitted
from homeport.domain.text import TextPrompt, TokenPrompt
from tests.api.asgi import call
from tests.api.embeddings.calls import (
    MODEL,
    application,
    each_input,
    post,
    row,
    sent_request,
)
from tests.api.fakes import FakeServing


async def test_the_answer_has_openais_shape() -> None:
    """Vectors are in the order of inputs, with the requested name and the usage; the header names the real model."""
    response = await post(model="text-embedding-ada-002", input=["a", "b", "c"])
    assert response.headers["x-homeport-model"] == MODEL
    assert json.loads(response.body) == {
        "object": "list",
        "data": [{"object": "embedding", "index": at, "embedding": row(at)} for at in range(3)],
        "model": "text-embedding-ada-002",
        "usage": {"prompt_tokens": 21, "total_tokens": 21},
    }


async def test_base64_is_the_same_numbers() -> None:
    """base64 contains little-endian 32-bit floats that equal the numbers of `float` exactly."""
    encoded = json.loads((await post(input=["a", "b"], encoding_format="base64")).body)["data"]
    plain = json.loads((await post(input=["a", "b"], encoding_format="float")).body)["data"]
    for at in range(2):
        raw = base64.b64decode(encoded[at]["embedding"], validate=True)
        assert list(struct.unpack("<4f", raw)) == plain[at]["embedding"] == row(at)


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a", (TextPrompt("a"),)),
        (["a", " "], (TextPrompt("a"), TextPrompt(" "))),
        ([1, 2], (TokenPrompt((1, 2)),)),
        ([[1], [2, 3]], (TokenPrompt((1,)), TokenPrompt((2, 3)))),
    ],
)
async def test_all_shapes_of_input_are_read(given: Any, inputs: Any) -> None:
    """Text, texts, ids and arrays of ids reach the worker, ids with the encoding of the requested name."""
    request = await sent_request(model="text-embedding-ada-002", input=given)
    assert (request.inputs, request.encoding, request.dimensions) == (inputs, "cl100k_base", None)
    assert (await sent_request(input=given)).encoding is None


@pytest.mark.parametrize(
    ("name", "is_query"),
    [
        ("text-embedding-ada-002", False),
        ("text-search-ada-doc-001", False),
        ("text-search-ada-query-001", True),
        ("code-search-ada-code-001", False),
        ("code-search-ada-text-001", True),
        ("text-similarity-ada-001", True),
        (MODEL, False),
    ],
)
async def test_names_of_2022_select_query_or_document(name: str, is_query: bool) -> None:
    """Names for queries embed queries; all others embed documents."""
    assert (await sent_request(model=name)).is_query is is_query


async def test_harmless_values_pass() -> None:
    """Null values and a user change nothing; dimensions reach the worker."""
    request = await sent_request(encoding_format=None, dimensions=None, user=None)
    assert request == await sent_request() == await sent_request(user="someone", encoding_format="float")
    assert (await sent_request(dimensions=256)).dimensions == 256


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"input": ...}, "input", "missing_required_parameter"),
        ({"input": None}, "input", "invalid_type"),
        ({"input": {"text": "a"}}, "input", "invalid_type"),
        ({"input": ""}, "input", "empty_string"),
        ({"input": ["a", ""]}, "input[1]", "empty_string"),
        ({"input": []}, "input", "empty_array"),
        ({"input": [[1], []]}, "input[1]", "empty_array"),
        ({"input": ["a", 1]}, "input", "invalid_type"),
        ({"input": [[1], "a"]}, "input", "invalid_type"),
        ({"input": [True]}, "input[0]", "invalid_type"),
        ({"input": [1.5]}, "input[0]", "invalid_type"),
        ({"input": [-1]}, "input[0]", "integer_below_min_value"),
        ({"input": [[3, 2**31]]}, "input[0][1]", "integer_above_max_value"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": [[1]] * 2049}, "input", "array_above_max_length"),
        ({"encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"encoding_format": 1}, "encoding_format", "invalid_type"),
        ({"dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"dimensions": "8"}, "dimensions", "invalid_type"),
        ({"user": 1}, "user", "invalid_type"),
        ({"input_type": "query"}, "input_type", "unknown_parameter"),
        ({"model": ...}, "model", "missing_required_parameter"),
        ({"model": "gpt-4"}, "model", None),
    ],
)
async def test_bad_requests_name_the_field(changes: dict[str, Any], param: str, code: str | None) -> None:
    """Every invalid value is a 400 that names its field, and no request reaches a worker."""
    serving = FakeServing(each_input)
    response = await post(serving, **changes)
    assert (response.status, response.error["param"], response.error["code"]) == (400, param, code)
    assert not serving.requests


async def test_2048_inputs_are_accepted() -> None:
    """OpenAI's maximum is accepted."""
    response = await post(input=["a"] * 2048, encoding_format="base64")
    assert [each["index"] for each in json.loads(response.body)["data"]] == list(range(2048))


async def test_the_engine_of_2023_names_the_model() -> None:
    """`/v1/engines/{id}/embeddings` reads the model from its path; a different one in the body is refused."""
    path = f"/v1/engines/{MODEL}/embeddings"
    assert (await post(path=path, model=...)).status == 200
    assert (await post(path=path, model="gpt-4")).error["param"] == "model"
    unknown = await post(path="/v1/engines/nobody/embeddings", model=...)
    assert (unknown.status, unknown.error["code"]) == (404, "model_not_found")


async def test_what_the_worker_refuses_is_answered() -> None:
    """An overflow found by the worker is a 400 with its code, also after admission."""
    full = ContextOverflow("too long", param="input")
    response = await post(FakeServing(lambda _: [full]))
    assert response.status == 400
    assert (response.error["code"], response.error["param"]) == ("context_length_exceeded", "input")
    response = await post(FakeServing(lambda _: [[Admitted(3)], full]))
    assert response.status == 400


async def test_requests_are_counted() -> None:
    """The metrics count tokens and complete answers under the model's own name; the stream is closed."""
    serving = FakeServing(each_input)
    app = application(serving)
    body = json.dumps({"model": "text-embedding-ada-002", "input": ["a", "b"]}).encode()
    assert (await call(app, "POST", "/v1/embeddings", body)).status == 200
    metrics: Metrics = app.state.services.metrics
    text = metrics.render().decode()
    assert f'vllm:prompt_tokens_total{{model_name="{MODEL}"}} 14.0' in text
    assert f'vllm:request_success_total{{finished_reason="stop",model_name="{MODEL}"}} 1.0' in text
    assert serving.streams[0].closed.is_set()
