"""Anthropic's client (in the environment of other clients) uses `/v1/messages` on real weights."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.client_programs import run_client
from tests.system.reasoning_model import NAME as THINKER
from tests.system.server import ServerProcess, running

KEY, MODEL = "sk-messages-0123456789abcdef", "smollm2-135m"
END_TOKENS = 8
"""The tokens that may be thinking beyond its budget: those of its end mark."""


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, smollm2: Any) -> Iterator[ServerProcess]:
    """A server with a key and the small model under every name."""
    assert smollm2.exists()
    log = tmp_path_factory.mktemp("keyed") / "log"
    with running(log, "--model", MODEL, API_KEYS=KEY, PROMPTS="off", RETAIN="0") as started:
        yield started


@pytest.fixture(scope="module")
def seen(keyed: ServerProcess) -> Any:
    """The results of the client, by scenario."""
    return run_client("messages_client", f"http://127.0.0.1:{keyed.port}", KEY, MODEL)


def test_a_stream_adds_up_to_the_whole_message(seen: Any) -> None:
    """The events are of the client's types, in its order, and give the text, the reason and the usage of the body."""
    kinds = [event["type"] for event in seen["events"] if event["type"] != "ping"]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    whole, added_up = seen["whole"], seen["added_up"]
    assert whole["content"][0]["text"]
    for name in ("content", "stop_reason", "role", "model"):
        assert added_up[name] == whole[name]
    for name in ("input_tokens", "output_tokens", "cache_read_input_tokens"):
        assert added_up["usage"][name] == whole["usage"][name]


def test_names_and_keys_of_anthropics_clients_are_served(seen: Any) -> None:
    """A name of Anthropic's stands for the default model; a key may be a token, and the beta client works."""
    assert seen["alias"]["model"] == "claude-sonnet-4-5"
    assert seen["bearer"] == seen["beta"] == seen["whole"]["stop_reason"]
    assert MODEL in seen["models"]


def test_the_count_is_that_of_the_prompt(seen: Any) -> None:
    """Counted tokens are those that the same message costs, with tools and their results, too."""
    assert seen["count"][0] == seen["count"][1]
    usage = seen["tools"]["answer"]["usage"]
    assert seen["tools"]["counted"] == usage["input_tokens"] + usage["cache_read_input_tokens"]


def test_a_stop_sequence_is_reported(seen: Any) -> None:
    """The answer ends before the sequence, which is named."""
    before, sequence, stopped = seen["stop"]
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", sequence)
    assert "".join(block["text"] for block in stopped["content"]) == before


def test_an_answer_matches_its_schema(seen: Any) -> None:
    """Bound to a schema, even a small model answers with what the schema describes."""
    (block,) = seen["schema"]["content"]
    assert json.loads(block["text"])["capital"] in ("Paris", "Rome")


def test_a_tool_is_called_and_its_result_read(seen: Any) -> None:
    """The named tool is called with valid input, and the next answer follows its result."""
    tools = seen["tools"]
    assert tools["reason"] == "tool_use"
    assert set(tools["input"]) == {"city", "unit"}
    assert tools["answer"]["stop_reason"] in ("end_turn", "max_tokens")


@pytest.mark.parametrize(
    ("scenario", "status", "kind", "text"),
    [
        ("image", 400, "invalid_request_error", "messages[0].content[0]"),
        ("wrong_key", 401, "authentication_error", "Incorrect API key"),
        ("unknown_model", 404, "not_found_error", "nobody"),
        ("too_long", 400, "invalid_request_error", "prompt is too long: "),
        ("bad_value", 400, "invalid_request_error", "max_tokens"),
        ("unknown_path", 404, "not_found_error", "/v1/messages/batches"),
    ],
)
def test_each_refusal_is_an_error_of_the_client(seen: Any, scenario: str, status: int, kind: str, text: str) -> None:
    """Errors have Anthropic's status and type, name what is wrong, and carry the id of the request."""
    error = seen[scenario]
    assert (error["status"], error["type"], error["has_id"]) == (status, kind, True)
    assert text in error["message"]


def test_thinking_is_limited_hidden_and_taken_back(reasoning_server: ServerProcess) -> None:
    """A model thinks only if it is asked to, within its budget; sealed and shown, it is the same prompt."""
    question = {"role": "user", "content": "How many legs have three cats?"}
    body = {"model": THINKER, "max_tokens": 120, "messages": [question], "temperature": 0}

    def answer(**changes: Any) -> Any:
        response = reasoning_server.call("POST", "/v1/messages", {**body, **changes})
        assert response.status == 200, response.body
        return response.json()

    assert [block["type"] for block in answer()["content"]] in ([], ["text"])
    shown = answer(thinking={"type": "enabled", "budget_tokens": 16})
    hidden = answer(thinking={"type": "enabled", "budget_tokens": 16, "display": "omitted"})
    assert shown["content"][0]["thinking"]
    assert hidden["content"][0] == {**shown["content"][0], "thinking": ""}
    assert 0 < shown["usage"]["output_tokens_details"]["thinking_tokens"] <= 16 + END_TOKENS
    counts = [
        reasoning_server.call(
            "POST",
            "/v1/messages/count_tokens",
            {"model": THINKER, "messages": [question, {"role": "assistant", "content": given}, question]},
        ).json()["input_tokens"]
        for given in (shown["content"], hidden["content"])
    ]
    assert counts[0] == counts[1]
