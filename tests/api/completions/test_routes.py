"""Completions: every form of prompt, every static check, whole answers and streams."""

from typing import Any

import msgspec
import pytest

from homeport.api.application import build_application
from homeport.api.completions.schema import CompletionBody
from homeport.domain.events import TextDelta
from homeport.domain.text import (
    EmptyPrompt,
    InfillPrompt,
    SamplingParams,
    TextPrompt,
    TextRequest,
    TokenPrompt,
)
from tests.api.asgi import call
from tests.api.fakes import FakeServing, answer, services
from tests.api.text_generation.calls import (
    events,
    post,
    scored,
    script,
    sent_request,
)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Hi", (TextPrompt("Hi"),)),
        ("", (TextPrompt(""),)),
        (["a", "b"], (TextPrompt("a"), TextPrompt("b"))),
        ([1, 2], (TokenPrompt((1, 2)),)),
        ([[1], [2, 3]], (TokenPrompt((1,)), TokenPrompt((2, 3)))),
        (None, (EmptyPrompt(),)),
        (..., (EmptyPrompt(),)),
    ],
)
async def test_prompts_have_four_forms_or_are_absent(prompt: Any, expected: Any) -> None:
    """Text, texts, ids and arrays of ids are accepted; no prompt means the start of a document."""
    assert (await sent_request("completions", prompt=prompt)).prompts == expected


async def test_a_plain_request_has_openais_defaults() -> None:
    """The defaults are temperature 1, 16 tokens, one choice, no logprobs and no hidden sampling."""
    request = await sent_request("completions")
    assert request == TextRequest(prompts=(TextPrompt("Hello"),), stopping=request.stopping)
    assert request.stopping.max_tokens == 16
    assert request.sampling == SamplingParams()


async def test_every_field_reaches_the_worker() -> None:
    """Each value reaches the engine."""
    request = await sent_request(
        "completions",
        model="text-davinci-003",
        max_tokens=7,
        temperature=0.5,
        top_p=0.25,
        n=2,
        best_of=3,
        stop=["a", "b"],
        presence_penalty=1,
        frequency_penalty=-1,
        logit_bias={"50256": -100},
        seed=-5,
        logprobs=4,
        echo=True,
        top_k=9,
        min_p=0.125,
        repetition_penalty=1.5,
        ignore_eos=True,
        min_tokens=2,
        stop_token_ids=[3],
        user="someone",
    )
    assert request.sampling == SamplingParams(0.5, 0.25, 9, 0.125, 1, -1, 1.5, -5, {50256: -100})
    assert (request.n, request.best_of, request.logprobs, request.echo) == (2, 3, 4, True)
    ending = request.stopping
    assert (ending.max_tokens, ending.min_tokens, ending.stop) == (7, 2, ("a", "b"))
    assert (ending.stop_token_ids, ending.ignore_eos) == ((3,), True)
    assert request.encoding == "p50k_base"


async def test_a_suffix_makes_an_infill() -> None:
    """`suffix` makes every prompt an infill; an empty one changes nothing."""
    request = await sent_request("completions", prompt=["a", "b"], suffix="z")
    assert request.prompts == (InfillPrompt(TextPrompt("a"), "z"), InfillPrompt(TextPrompt("b"), "z"))
    assert (await sent_request("completions", suffix="")).prompts == (TextPrompt("Hello"),)


@pytest.mark.parametrize(
    "harmless",
    [
        {"n": 1, "best_of": 1, "logit_bias": {}, "user": "x", "stop": []},
        {"stream": True, "best_of": 2, "n": 2},
        {"top_k": -1, "stop_token_ids": [], "stream": False},
        {"temperature": 2, "top_p": 0, "presence_penalty": -2, "frequency_penalty": 2},
        {"max_tokens": 0, "echo": True, "logprobs": 0},
        {"seed": 2**63 - 1},
    ],
)
async def test_harmless_values_pass(harmless: dict[str, Any]) -> None:
    """Neutral values, and values at the limits, are a 200."""
    assert (await post("completions", **harmless)).status == 200


async def test_null_is_the_default_of_every_field() -> None:
    """Null means the same as omitting an optional field."""
    names = set(CompletionBody.__struct_fields__) - {"model", "prompt"}
    assert await sent_request("completions", **dict.fromkeys(names)) == await sent_request("completions")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"model": ...}, "model", "you must provide a model parameter"),
    ({"model": ""}, "model", "you must provide a model parameter"),
    ({"model": 5}, "model", "expected a string"),
    ({"temperature": 3}, "temperature", "decimal above maximum value. Expected a value <= 2, but got 3"),
    ({"temperature": -0.5}, "temperature", "decimal below minimum value. Expected a value >= 0, but got -0.5"),
    ({"top_p": 1.5}, "top_p", "<= 1"),
    ({"presence_penalty": 2.5}, "presence_penalty", "<= 2"),
    ({"frequency_penalty": -2.5}, "frequency_penalty", ">= -2"),
    ({"n": 0}, "n", "integer below minimum value. Expected a value >= 1, but got 0 instead."),
    ({"n": 129}, "n", "<= 128"),
    ({"n": 1.5}, "n", "expected an integer"),
    ({"best_of": 0}, "best_of", ">= 1"),
    ({"best_of": 21}, "best_of", "<= 20"),
    ({"best_of": 2, "n": 3}, "best_of", "you must set 'n' (currently 3) to be at most 'best_of' (currently 2)"),
    ({"best_of": 2, "stream": True}, "best_of", "cannot be streamed"),
    ({"logprobs": 6}, "logprobs", "<= 5"),
    ({"logprobs": -1}, "logprobs", ">= 0"),
    ({"logprobs": True}, "logprobs", "expected an integer"),
    ({"stop": ["a"] * 5}, "stop", "array too long. Expected an array with maximum length 4"),
    ({"stop": ""}, "stop", "empty string"),
    ({"stop": ["a", ""]}, "stop[1]", "empty string"),
    ({"logit_bias": {"x": 1}}, "logit_bias", "Invalid key in 'logit_bias': x."),
    ({"logit_bias": {"-1": 1}}, "logit_bias", "non-negative integers"),
    ({"logit_bias": {"9" * 5000: 1}}, "logit_bias", "non-negative integers"),
    ({"logit_bias": {"1": 101}}, "logit_bias", "<= 100"),
    ({"max_tokens": 0}, "max_tokens", ">= 1"),
    ({"max_tokens": -1, "echo": True}, "max_tokens", ">= 0"),
    ({"max_tokens": 2**70}, "max_tokens", "above maximum value"),
    ({"min_tokens": 17}, "min_tokens", "must not be greater than 'max_tokens' (16)"),
    ({"seed": 2**63}, "seed", "above maximum value"),
    ({"top_k": -2}, "top_k", ">= -1"),
    ({"min_p": 2}, "min_p", "<= 1"),
    ({"repetition_penalty": 0}, "repetition_penalty", "> 0"),
    ({"repetition_penalty": 11}, "repetition_penalty", "<= 10"),
    ({"stop_token_ids": [-1]}, "stop_token_ids[0]", ">= 0"),
    ({"stop_token_ids": [1] * 129}, "stop_token_ids", "maximum length 128"),
    ({"prompt": []}, "prompt", "empty array"),
    ({"prompt": [[]]}, "prompt[0]", "empty array"),
    ({"prompt": ["a", 1]}, "prompt", "mixed types"),
    ({"prompt": ["a", [1]]}, "prompt", "mixed types"),
    ({"prompt": [1, [1]]}, "prompt", "mixed types"),
    ({"prompt": [1, -1]}, "prompt[1]", ">= 0"),
    ({"prompt": [[1], [2**40]]}, "prompt[1][0]", "above maximum value"),
    ({"prompt": [True]}, "prompt[0]", "expected"),
    ({"prompt": {"a": 1}}, "prompt", "expected"),
    ({"prompt": ["a"] * 2049}, "prompt", "maximum length 2048"),
    ({"prompt": ["a"] * 100, "n": 128}, "n", "4096"),
    ({"prompt": ["a"] * 1000, "best_of": 20}, "best_of", "4096"),
    ({"suffix": "z", "echo": True}, "echo", "'suffix'"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "only allowed when 'stream' is enabled"),
    ({"stream_options": {"include_obfuscation": True}}, "stream_options", "only allowed when 'stream' is enabled"),
    ({"stream": True, "stream_options": {"include_use": True}}, "stream_options.include_use", "Unrecognized"),
    ({"colour": "red"}, "colour", "Unrecognized request argument supplied: colour"),
]


@pytest.mark.parametrize(("changes", "param", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
async def test_what_is_wrong_is_refused_by_name_before_any_work(
    changes: dict[str, Any], param: str, words: str
) -> None:
    """A bad value is a 400 in OpenAI's words that names the field, and no request reaches a worker."""
    serving = FakeServing()
    response = await post("completions", serving, **changes)
    assert response.status == 400
    assert response.error["param"] == param
    assert words in response.error["message"]
    assert response.error["type"] == "invalid_request_error"
    assert not serving.requests


SCORED = script(
    [TextDelta(0, "Hi", (scored("Hi", -0.5, 0, ("Hi", -0.5), ("Ho", -1.5)),))],
    [TextDelta(0, "!", (scored("!", -3.0, 2, ("?", -0.1), (".", float("-inf"))),))],
)


async def test_logprobs_are_four_parallel_lists() -> None:
    """Tokens have scores, alternatives with the token's own, and offsets from the prompt's start."""
    response = await post("completions", FakeServing(lambda _: SCORED), logprobs=2)
    (choice,) = response.json["choices"]
    assert choice["logprobs"] == {
        "tokens": ["Hi", "!"],
        "token_logprobs": [-0.5, -3.0],
        "top_logprobs": [{"Hi": -0.5, "Ho": -1.5}, {"?": -0.1, ".": -9999.0, "!": -3.0}],
        "text_offset": [10, 12],
    }


async def test_logprobs_zero_scores_the_chosen_tokens_alone() -> None:
    """`logprobs: 0` returns scores without alternatives."""
    response = await post("completions", FakeServing(lambda _: SCORED), logprobs=0)
    logprobs = response.json["choices"][0]["logprobs"]
    assert logprobs["token_logprobs"] == [-0.5, -3.0]
    assert logprobs["top_logprobs"] is None


async def test_an_echo_is_scored_from_its_start() -> None:
    """With `echo` offsets begin at 0, and a document's first token has neither score nor alternatives."""
    echoed = script([TextDelta(0, "Hi", (scored("H", None, 0), scored("i", -1.0, 1, ("i", -1.0))))])
    response = await post("completions", FakeServing(lambda _: echoed), logprobs=1, echo=True, max_tokens=0)
    assert response.json["choices"][0]["logprobs"] == {
        "tokens": ["H", "i"],
        "token_logprobs": [None, -1.0],
        "top_logprobs": [None, {"i": -1.0}],
        "text_offset": [0, 1],
    }


async def test_offsets_begin_behind_each_choices_own_prompt() -> None:
    """With several prompts and answers, each offset counts from its own prompt."""
    steps = [[TextDelta(choice, "x", (scored("x", -1.0, 0),))] for choice in range(4)]
    serving = FakeServing(lambda _: script(*steps, prompt_chars=(3, 8)))
    response = await post("completions", serving, prompt=["abc", "abcdefgh"], n=2, logprobs=0)
    assert [choice["logprobs"]["text_offset"] for choice in response.json["choices"]] == [[3], [3], [8], [8]]


async def test_an_answer_has_openais_shape() -> None:
    """The answer has an id, the requested name, choices in order and the usage; the header names the real model."""
    response = await post("completions", model="gpt-3.5-turbo", prompt=["a", "b"], n=2)
    body = response.json
    assert body["id"].startswith("cmpl-")
    assert (body["object"], body["model"]) == ("text_completion", "gpt-3.5-turbo")
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert {choice["finish_reason"] for choice in body["choices"]} == {"stop"}
    assert body["choices"][0]["logprobs"] is None
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"], body["usage"]["total_tokens"]) == (
        5,
        8,
        13,
    )
    assert response.headers["x-homeport-model"] == "tiny"


async def test_a_stream_may_end_with_its_usage() -> None:
    """With `include_usage` every chunk has a null usage, and a last one without choices has the real one."""
    response = await post("completions", stream=True, stream_options={"include_usage": True})
    *chunks, last = events(response)
    assert all(chunk["usage"] is None and len(chunk["choices"]) == 1 for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 7
    assert all("usage" not in chunk for chunk in events(await post("completions", stream=True)))


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
async def test_chunks_are_padded_on_request(endpoint: str) -> None:
    """`include_obfuscation` adds random characters to every chunk; without it there are none."""
    for wish in (True, False, None):
        response = await post(endpoint, stream=True, stream_options={"include_obfuscation": wish})
        assert response.status == 200
        assert all(("obfuscation" in chunk) == bool(wish) for chunk in events(response))


async def test_the_longest_choice_is_measured() -> None:
    """The metrics report the longest of several choices, or the only one."""
    texts = iter([("one two three",), ("one two three", "one")])
    application = services(FakeServing(lambda _: answer(*next(texts))))
    for n in (1, 2):
        body = msgspec.json.encode({"model": "tiny", "prompt": "Hi", "n": n})
        assert (await call(build_application(application), "POST", "/v1/completions", body)).status == 200
    read = application.metrics.registry.get_sample_value
    of = {"model_name": "tiny"}
    assert read("vllm:request_max_num_generation_tokens_sum", of) == 6
    assert read("vllm:request_generation_tokens_sum", of) == 7
