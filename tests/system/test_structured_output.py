"""Structured output with the current official client, on real weights: what ends with `stop` is valid."""

import json
import re
import time
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from tests.conftest import Scale

MODEL = "smollm2-135m"
ASK = [{"role": "user", "content": "Describe a person as JSON."}]
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}


class Person(BaseModel):
    """A schema as the client makes it."""

    name: str
    age: int


def schema_format(schema: Any, *, strict: bool = True) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": strict}}


def ask(client: openai.OpenAI, **changes: Any) -> ChatCompletion:
    body = {"model": MODEL, "messages": ASK, "max_tokens": 200, **changes}
    return client.post("/chat/completions", body=body, cast_to=ChatCompletion)


def test_answers_match_their_schema(client: openai.OpenAI, scale: Scale) -> None:
    """At temperature 1, every answer that ends with `stop` has the schema's properties, types and bounds."""
    complete = 0
    for seed in range(scale(10, 100)):
        choice = ask(client, response_format=schema_format(PERSON), seed=seed).choices[0]
        if choice.finish_reason == "stop":
            complete += 1
            person = json.loads(choice.message.content or "")
            assert list(person) == ["name", "age", "tags"]
            assert len(person["name"]) <= 20
            assert 0 <= person["age"] <= 130
            assert set(person["tags"]) <= {"a", "b"}
    assert complete


def test_any_json_object(client: openai.OpenAI) -> None:
    """`json_object` gives an object, streamed as whole."""
    body = {"model": MODEL, "messages": ASK, "max_tokens": 300, "response_format": {"type": "json_object"}}
    whole = ask(client, response_format={"type": "json_object"}, max_tokens=300, temperature=0).choices[0]
    chunks = client.chat.completions.create(stream=True, temperature=0, **body)  # type: ignore[call-overload]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.message.content
    if whole.finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_the_client_parses_an_answer_into_its_own_type(client: openai.OpenAI) -> None:
    """The client's `parse` returns an object of the class that it made the schema from."""
    answer = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Anna is seven years old."}],
        response_format=Person,
        temperature=0,
        max_tokens=200,
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


@pytest.mark.parametrize(
    ("extension", "pattern"),
    [
        ({"guided_regex": "[a-f]{3}-[0-9]{2}"}, "[a-f]{3}-[0-9]{2}"),
        ({"guided_choice": ["red (dark)", "green"]}, r"red \(dark\)|green"),
        ({"guided_grammar": 'start: "x" NUMBER\nNUMBER: /[0-9]{2}/'}, "x[0-9]{2}"),
        ({"structured_outputs": {"regex": "yes|no"}}, "yes|no"),
    ],
)
def test_extensions_of_other_servers(client: openai.OpenAI, extension: dict[str, Any], pattern: str) -> None:
    """A regular expression, a choice and a grammar bind chats and completions."""
    chat = ask(client, **extension).choices[0].message.content or ""
    assert re.fullmatch(pattern, chat)
    body = {"model": MODEL, "prompt": "Write", "max_tokens": 50, **extension}
    text = client.post("/completions", body=body, cast_to=openai.types.Completion).choices[0].text
    assert re.fullmatch(pattern, text)


@pytest.mark.parametrize(
    ("schema", "path", "keyword"),
    [
        ({"type": "object", "properties": {"a": {"not": {"type": "string"}}}}, "/properties/a", "not"),
        ({"type": "array", "contains": {"type": "string"}}, "", "contains"),
        ({"type": "string", "format": "no-such-format"}, "", "format"),
        ({"type": "strange"}, "", "type"),
    ],
)
def test_what_is_not_enforced_is_refused_by_name(
    client: openai.OpenAI, schema: dict[str, Any], path: str, keyword: str
) -> None:
    """A schema that cannot be enforced is a 400 that names the field, the schema's path and the keyword."""
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, response_format=schema_format(schema))
    assert caught.value.param is not None
    assert caught.value.param.startswith("response_format.json_schema.schema")
    assert path in caught.value.message
    assert keyword in caught.value.message


def test_a_pathological_schema_is_refused_soon(client: openai.OpenAI) -> None:
    """A schema that would take forever to compile is a 400 within five seconds, and the server goes on."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(14):
        schema = {
            "anyOf": [{"type": "object", "properties": {"a": schema}}, {"type": "object", "properties": {"b": schema}}]
        }
    began = time.monotonic()
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, response_format=schema_format(schema))
    assert time.monotonic() - began < 10  # five on a quiet machine
    assert caught.value.param is not None
    assert caught.value.param.startswith("response_format")
    assert ask(client, max_tokens=1).choices


def test_log_probabilities_are_those_of_the_model(client: openai.OpenAI) -> None:
    """Forced tokens have log-probabilities too, and all of them spell the content."""
    choice = ask(client, response_format=schema_format(PERSON), logprobs=True, temperature=0).choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert "".join(token.token for token in choice.logprobs.content) == choice.message.content
    assert all(token.logprob <= 0 for token in choice.logprobs.content)
