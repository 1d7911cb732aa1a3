"""`run`: a chat in the terminal, with tools whose results are typed in."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.scripted_server import CHUNKS, ScriptedServer, run

TOOLS = [{"type": "function", "function": {"name": "clock"}}, {"type": "custom", "custom": {"name": "shell"}}]


def _bodies(server: ScriptedServer) -> list[Any]:
    return [body for _, path, _, body in server.requests if path == "/v1/chat/completions"]


@pytest.mark.usefixtures("running")
def test_a_chat_keeps_its_history(tmp_path: Path, server: ScriptedServer) -> None:
    """Each line is answered, and the next request contains the whole conversation."""
    result = run(tmp_path, "run", "small", "--system", "Be brief.", text="Hello\n\nAgain\n")
    answer = "".join(CHUNKS)
    assert result.stdout == f"{answer}\n{answer}\n"
    last = _bodies(server)[-1]
    assert [message["content"] for message in last["messages"]] == ["Be brief.", "Hello", answer, "Again"]
    assert set(last) == {"model", "messages", "stream"}


@pytest.mark.usefixtures("running")
def test_calls_are_shown_and_their_results_read(tmp_path: Path, server: ScriptedServer) -> None:
    """Each call is printed with its arguments, and the next lines of the input are sent as its result."""
    file = tmp_path / "tools.json"
    file.write_text(json.dumps(TOOLS))
    result = run(tmp_path, "run", "small", "--tools", str(file), text="What time is it?\n12:00\na.txt\n")
    assert result.stdout == '\nclock {"zone": "UTC"}\nshell ls\n' + "".join(CHUNKS) + "\n"
    first, second = _bodies(server)
    assert first["tools"] == TOOLS
    _, answer, *results = second["messages"]
    assert answer == {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}},
            {"id": "call_2", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        ],
    }
    assert results == [
        {"role": "tool", "tool_call_id": "call_1", "content": "12:00"},
        {"role": "tool", "tool_call_id": "call_2", "content": "a.txt"},
    ]


@pytest.mark.usefixtures("running")
def test_a_chat_ends_when_a_result_is_not_entered(tmp_path: Path, server: ScriptedServer) -> None:
    """The end of the input instead of a result ends the chat without an error."""
    file = tmp_path / "tools.json"
    file.write_text(json.dumps(TOOLS))
    assert run(tmp_path, "run", "small", "--tools", str(file), text="What time is it?\n").exit_code == 0
    assert len(_bodies(server)) == 1


@pytest.mark.usefixtures("running")
def test_reasoning_is_shown_on_request(tmp_path: Path, server: ScriptedServer) -> None:
    """With `--reasoning` the model is asked to reason, and the reasoning is printed apart from the answer."""
    file = tmp_path / "tools.json"
    file.write_text(json.dumps(TOOLS))
    arguments = ("run", "small", "--tools", str(file))
    assert "Hm." not in run(tmp_path, *arguments, text="Hi\n").stderr
    shown = run(tmp_path, *arguments, "--reasoning", text="Hi\n")
    assert "Hm." in shown.stderr
    assert "Hm." not in shown.stdout
    assert _bodies(server)[-1]["reasoning_effort"] == "medium"


@pytest.mark.parametrize("content", ["{", "{}", "[1]"])
@pytest.mark.usefixtures("running")
def test_a_file_without_tools_is_an_error(tmp_path: Path, server: ScriptedServer, content: str) -> None:
    """A file that is no JSON array of objects is refused before any request."""
    file = tmp_path / "tools.json"
    file.write_text(content)
    result = run(tmp_path, "run", "small", "--tools", str(file), text="Hi\n")
    assert result.exit_code == 2
    assert "not a JSON array of tools" in result.stderr
    assert not server.requests
