"""Edits, models and the legacy response formats over plain HTTP, on real weights."""

import pytest

from tests.system.server import ServerProcess


def test_the_seed_documents_edit_comes_out_right(default_server: ServerProcess) -> None:
    """In the documented example the spelling mistakes are corrected, and nothing else is returned."""
    wish = {
        "model": "text-davinci-edit-001",
        "input": "What day of the wek is it?",
        "instruction": "Fix the spelling mistakes",
        "temperature": 0,
    }
    answer = default_server.call("POST", "/v1/edits", wish)
    assert answer.status == 200, answer.body
    body = answer.json()
    assert body["object"] == "edit"
    assert body["choices"] == [{"text": "What day of the week is it?", "index": 0}]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize(
    ("given", "instruction", "expected"),
    [
        ("i has two apple", "Fix the grammar", "I have two apples"),
        ("hello world", "Make it upper case", "HELLO WORLD"),
        ("def f(x):\n    y = x + 1\n    return y\n", "Rename the variable y to total", "total = x + 1"),
    ],
)
def test_edits_follow_the_instruction(
    default_server: ServerProcess, given: str, instruction: str, expected: str
) -> None:
    """Small edits of prose and code are as requested, without preamble or fences."""
    wish = {"model": "text-davinci-edit-001", "input": given, "instruction": instruction, "temperature": 0, "n": 2}
    choices = default_server.call("POST", "/v1/edits", wish).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    for choice in choices:
        assert expected in choice["text"]
        assert "```" not in choice["text"]


def test_edits_go_through_the_old_engines_path(default_server: ServerProcess) -> None:
    """The legacy path /v1/engines/{id}/edits has the model's name."""
    wish = {"input": "What day of the wek is it?", "instruction": "Fix the spelling mistakes", "temperature": 0}
    answer = default_server.call("POST", "/v1/engines/text-davinci-edit-001/edits", wish)
    assert answer.json()["choices"][0]["text"] == "What day of the week is it?"


def test_models_are_listed_with_2023s_and_todays_fields(default_server: ServerProcess) -> None:
    """Real names and aliases are listed; an alias names its root; window and capabilities are included."""
    listed = default_server.call("GET", "/v1/models").json()
    by_id = {model["id"]: model for model in listed["data"]}
    assert listed["object"] == "list"
    real, alias = by_id["qwen2.5-coder-0.5b"], by_id["gpt-3.5-turbo"]
    assert alias["root"] == "qwen2.5-coder-0.5b"
    for model in (real, alias):
        assert model["object"] == "model"
        assert model["owned_by"] == "homeport"
        assert model["permission"][0]["object"] == "model_permission"
        assert "chat" in model["capabilities"]
    assert default_server.call("GET", "/v1/models/gpt-3.5-turbo").json()["id"] == "gpt-3.5-turbo"
    assert any(engine["id"] == "davinci" for engine in default_server.call("GET", "/v1/engines").json()["data"])
    assert default_server.call("GET", "/v1/engines/davinci").json()["object"] == "engine"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/models/gpt-3.5-tubro", None, 404, "model_not_found"),
        ("POST", "/v1/chat/completions", b"{not json", 400, None),
        ("GET", "/v1/completions", None, 405, None),
        ("GET", "/v1/nothing", None, 404, None),
        ("POST", "/v1/completions", {"model": "nobody", "prompt": "x"}, 404, "model_not_found"),
        ("POST", "/v1/completions", {"prompt": "x"}, 400, None),
    ],
)
def test_wrong_requests_get_the_envelope(
    default_server: ServerProcess, method: str, path: str, body: object, status: int, code: str | None
) -> None:
    """Every invalid request is answered with the envelope, a request id and a string or null code."""
    answer = default_server.call(method, path, body)
    assert answer.status == status
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert answer.error["message"]
    if code:
        assert answer.error["code"] == code
    assert answer.headers["x-request-id"]


def test_a_near_match_is_named(default_server: ServerProcess) -> None:
    """The error for a misspelled model lists similar names."""
    assert "gpt-3.5-turbo" in default_server.call("GET", "/v1/models/gpt-3.5-tubro").error["message"]


def test_a_wrong_content_type_is_refused(default_server: ServerProcess) -> None:
    """A form on a JSON endpoint is a 415 in the envelope."""
    answer = default_server.call(
        "POST", "/v1/completions", b"model=x", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status == 415
    assert answer.error["type"] == "invalid_request_error"


def test_a_foreign_host_or_origin_is_refused(default_server: ServerProcess) -> None:
    """Without keys, requests from web pages and rebound names are refused."""
    assert default_server.call("GET", "/v1/models", headers={"Host": "evil.example"}).status == 403
    assert default_server.call("GET", "/v1/models", headers={"Origin": "https://evil.example"}).status == 403
