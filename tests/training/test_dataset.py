"""Training files: every format, and every error with its line."""

import codecs
import json
from pathlib import Path

import pytest

from homeport.domain.content import Message, ToolCallPart, ToolResultPart, text_message
from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import Tool, ToolUse
from homeport.domain.training import Method
from homeport.training import dataset
from homeport.training.dataset import CompletionExample, ConversationExample, PreferenceExample

USER, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}

CALLS = {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}


def lines(*objects: object) -> list[bytes]:
    return [json.dumps(one).encode() + b"\n" for one in objects]


def test_prompts_and_completions_are_read() -> None:
    """The legacy format: two texts, unchanged; empty lines are skipped, an empty prompt is valid."""
    read = dataset.parse(
        [*lines({"prompt": "p", "completion": " c"}), b"\n", *lines({"prompt": "", "completion": "x"})], "supervised"
    )
    assert read == [CompletionExample("p", " c"), CompletionExample("", "x")]


def test_conversations_mark_the_answers_to_train_on() -> None:
    """Every message of the assistant is trained on, except those of weight 0."""
    chat = [
        {"role": "system", "content": "s"},
        USER,
        ANSWER | {"weight": 0},
        USER,
        ANSWER | {"weight": 1},
        USER,
        ANSWER,
    ]
    (read,) = dataset.parse(lines({"messages": chat}), "supervised")
    assert isinstance(read, ConversationExample)
    assert read.trained_turns == (4, 6)
    assert read.messages[0] == text_message("system", "s")


@pytest.mark.parametrize(
    "answer",
    [
        dict.fromkeys(("refusal", "annotations", "audio", "function_call", "tool_calls", "parsed")),
        {"content": [{"type": "text", "text": "a"}], "tool_calls": []},
        {"content": None, "refusal": "a"},
        {"content": [{"type": "refusal", "refusal": "a"}]},
    ],
)
def test_answers_are_trained_on_as_they_were_returned(answer: dict[str, object]) -> None:
    """An example made of an answer with all its fields, or in parts, is that of its text."""
    (plain,) = dataset.parse(lines({"messages": [USER, ANSWER]}), "supervised")
    assert dataset.parse(lines({"messages": [USER, ANSWER | answer], "tools": None}), "supervised") == [plain]


def test_calls_and_results_are_read_with_their_tools() -> None:
    """An example may declare tools, call them, read the results, and end with a call."""
    result = {"role": "tool", "tool_call_id": "1", "content": "r"}
    tools = [{"type": "function", "function": {"name": "f"}}]
    chat = [USER, {"role": "assistant"} | CALLS, result, ANSWER, USER, {"role": "assistant"} | CALLS]
    (read,) = dataset.parse(lines({"messages": chat, "tools": tools, "parallel_tool_calls": False}), "supervised")
    assert isinstance(read, ConversationExample)
    assert read.trained_turns == (1, 3, 5)
    call = Message("assistant", (ToolCallPart("1", "f", "{}"),))
    assert (read.messages[1], read.messages[5]) == (call, call)
    assert read.messages[2] == Message("tool", (ToolResultPart("1", "r"),))
    assert read.tools == ToolUse((Tool("f", param="tools[0].function"),), is_parallel=False)


def test_functions_of_2023_are_tools() -> None:
    """2023's functions, calls and results are read as today's."""
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    chat = [USER, call, {"role": "function", "name": "f", "content": "r"}, ANSWER]
    (read,) = dataset.parse(lines({"messages": chat, "functions": [{"name": "f"}]}), "supervised")
    assert isinstance(read, ConversationExample)
    (called,), (result,) = read.messages[1].parts, read.messages[2].parts
    assert isinstance(called, ToolCallPart)
    assert result == ToolResultPart(called.id, "r")
    assert read.tools == ToolUse((Tool("f", param="functions[0]"),), is_parallel=False)


def test_earlier_reasoning_is_not_read() -> None:
    """The reasoning of an answer is no part of an example."""
    (plain,) = dataset.parse(lines({"messages": [USER, ANSWER]}), "supervised")
    assert dataset.parse(lines({"messages": [USER, ANSWER | {"reasoning": "Hm."}]}), "supervised") == [plain]


def test_preferences_are_read() -> None:
    """A conversation, the preferred answer and the rejected one."""
    line = {
        "input": {"messages": [USER]},
        "preferred_output": [ANSWER],
        "non_preferred_output": [ANSWER | {"content": "b"}],
    }
    assert dataset.parse(lines(line), "dpo") == [PreferenceExample((text_message("user", "q"),), "a", "b")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "neither"),
        ([], "object"),
        ({"prompt": "p"}, "completion"),
        ({"prompt": "p", "completion": ""}, "empty"),
        ({"prompt": 1, "completion": "c"}, "prompt"),
        ({"prompt": "p", "completion": "c", "extra": 1}, "extra"),
        ({"messages": []}, "no message"),
        ({"messages": [USER]}, "no message"),
        ({"messages": [ANSWER]}, "begins with"),
        ({"messages": [USER, ANSWER | {"weight": 0}]}, "no message"),
        ({"messages": [USER | {"weight": 1}, ANSWER]}, "weight"),
        ({"messages": [USER, ANSWER | {"weight": 0.5}]}, "weight"),
        ({"messages": [USER, {"role": "tool", "content": "x"}, ANSWER]}, "tool_call_id"),
        ({"messages": [USER, ANSWER], "tools": [{}]}, r"tools\[0\].type"),
        ({"messages": [USER, ANSWER], "functions": [{"name": "a b"}]}, r"functions\[0\].name"),
        ({"messages": [USER, ANSWER | CALLS, USER, ANSWER]}, "must be followed by tool messages"),
        ({"messages": [USER, ANSWER | {"tool_calls": [{"id": "1"}]}]}, r"messages\[1\].tool_calls\[0\].function"),
        ({"messages": [USER, ANSWER | {"audio": {"id": "1"}}]}, "audio"),
        ({"messages": [USER | {"content": None}, ANSWER]}, "content"),
    ],
)
def test_a_wrong_line_is_named(wrong: object, said: str) -> None:
    """An invalid example is refused with its line and the reason."""
    good = {"messages": [USER, ANSWER]}
    with pytest.raises(InvalidRequest, match=f"Line 2 .*{said}") as found:
        dataset.parse(lines(good, wrong), "supervised")
    assert found.value.param == "training_file"


@pytest.mark.parametrize(
    ("method", "line"),
    [
        ("dpo", {"messages": [USER, ANSWER]}),
        (
            "dpo",
            {"input": {"messages": [USER, ANSWER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]},
        ),
        ("dpo", {"input": {"messages": [USER]}, "preferred_output": [USER], "non_preferred_output": [ANSWER]}),
        (
            "dpo",
            {
                "input": {"messages": [USER]},
                "preferred_output": [ANSWER | CALLS],
                "non_preferred_output": [ANSWER],
            },
        ),
        ("supervised", {"input": {"messages": [USER]}, "preferred_output": [ANSWER], "non_preferred_output": [ANSWER]}),
    ],
)
def test_a_format_of_the_other_method_is_refused(method: Method, line: object) -> None:
    """Preferences are for dpo, and dpo is for complete preferences."""
    with pytest.raises(InvalidRequest, match="Line 1"):
        dataset.parse(lines(line), method)


def test_a_file_has_one_format_and_is_not_empty(tmp_path: Path) -> None:
    """Two formats in one file, no example at all, invalid JSON and an endless line are refused."""
    mixed = lines({"prompt": "p", "completion": "c"}, {"messages": [USER, ANSWER]})
    for content, said in ((mixed, "Line 2"), ([b"\n"], "no examples"), ([b"what?\n"], "Line 1")):
        with pytest.raises(InvalidRequest, match=said):
            dataset.parse(content, "supervised")
    (tmp_path / "long").write_bytes(b'{"prompt": "' + b"x" * dataset.LINE_BYTES)
    with pytest.raises(InvalidRequest, match="longer"):
        dataset.read(tmp_path / "long", "supervised")


@pytest.mark.parametrize("content", [b"", b"\n", b'{"prompt": "p", "completion": " c"}\n{"prompt": "p"}\n'])
def test_a_file_is_checked_as_it_is_read(tmp_path: Path, content: bytes) -> None:
    """A check refuses a file with the same message as reading it, and accepts a valid one."""
    (tmp_path / "file").write_bytes(content)
    said = []
    for look in (dataset.read, dataset.check):
        with pytest.raises(InvalidRequest) as refused:
            look(tmp_path / "file", "supervised", "validation_file")
        assert refused.value.param == "validation_file"
        said.append(refused.value.message)
    assert said[0] == said[1]
    (tmp_path / "file").write_bytes(lines({"prompt": "p", "completion": " c"})[0])
    dataset.check(tmp_path / "file", "supervised")


def test_byte_order_marks_are_skipped(tmp_path: Path) -> None:
    """A file that begins with one is read like any other; one in UTF-16 is refused with that reason."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + b"".join(lines({"prompt": "p", "completion": "c"})))
    assert dataset.read(path, "supervised") == [CompletionExample("p", "c")]
    path.write_text('{"prompt": "p", "completion": "c"}', "utf-16")
    with pytest.raises(InvalidRequest, match=r"Line 1 .* it is written in UTF-16"):
        dataset.read(path, "supervised")
