"""Histories: the messages that items become, whether calls and outputs belong together, and files and sealed texts."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest

from homeport.api.responses import input_files
from homeport.api.responses.history import to_messages
from homeport.api.responses.items import MAX_ITEMS, from_stored, to_stored
from homeport.domain.content import Message, text_message
from homeport.domain.errors import InvalidRequest
from tests.api.responses.item_values import (
    CALL,
    OUTPUT,
    SHELL_OUTPUT,
    assistant,
    call,
    read,
    reasoning,
    result,
    thought,
    unseal,
    user,
)

ASK = {"role": "user", "content": "q"}
SAY = {"role": "assistant", "content": "s"}
CALL2, OUTPUT2 = {**CALL, "call_id": "c2", "name": "g"}, {**OUTPUT, "call_id": "c2", "output": "two"}
CUT = {**CALL, "status": "incomplete", "arguments": '{"a'}


def messages(*items: Any, **options: Any) -> tuple[Message, ...]:
    return to_messages(options.pop("instructions", None), read(*items), unseal, **options)


IMAGE = {"type": "image_generation_call", "id": "ig_1", "result": "AAAA", "revised_prompt": "a cat"}
DRAWN = call("hosted_1", "image_generation", '{"prompt":"a cat"}')
SHOWN = result("The image was made and is shown to the user.", "hosted_1")

CASES: list[tuple[list[Any], list[Message]]] = [
    ([ASK], [user("q")]),
    ([{"role": "developer", "content": "d"}, ASK], [text_message("developer", "d"), user("q")]),
    ([ASK, SAY, ASK], [user("q"), assistant("s"), user("q")]),
    ([SAY, SAY], [assistant("s"), assistant("s")]),
    ([ASK, thought("t"), SAY, IMAGE, SAY], [user("q"), assistant(reasoning("t"), "s", DRAWN), SHOWN, assistant("s")]),
    ([ASK, IMAGE, CALL, OUTPUT], [user("q"), assistant(DRAWN), SHOWN, assistant(call()), result()]),
    ([ASK, CALL, IMAGE, OUTPUT, SAY], [user("q"), assistant(call(), DRAWN), result(), SHOWN, assistant("s")]),
    (
        [ASK, {**IMAGE, "status": "failed", "error": "Why.", "revised_prompt": None}],
        [
            user("q"),
            assistant(call("hosted_1", "image_generation", '{"prompt":""}')),
            result("The image could not be made. Why.", "hosted_1"),
        ],
    ),
    (
        [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]}],
        [user("ab")],
    ),
    ([{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}], [assistant("no")]),
    ([thought("t"), SAY], [assistant(reasoning("t"), "s")]),
    ([thought("t"), ASK], [assistant(reasoning("t"), ""), user("q")]),
    ([thought("t"), thought("u"), SAY], [assistant(reasoning("t\n\nu"), "s")]),
    ([thought("t"), SAY, thought("u"), SAY], [assistant(reasoning("t"), "s"), assistant(reasoning("u"), "s")]),
    ([CALL, OUTPUT], [assistant(call()), result()]),
    (
        [thought("t"), SAY, CALL, CALL2, OUTPUT2, OUTPUT, ASK],
        [assistant(reasoning("t"), "s", call(), call("c2", "g")), result(), result("two", "c2"), user("q")],
    ),
    ([CALL, SAY, OUTPUT], [assistant("s", call()), result()]),
    (
        [CALL, CALL2, OUTPUT, thought("t"), OUTPUT2],
        [assistant(reasoning("t"), call(), call("c2", "g")), result(), result("two", "c2")],
    ),
    ([CALL, OUTPUT, CALL2, OUTPUT2], [assistant(call()), result(), assistant(call("c2", "g")), result("two", "c2")]),
    ([CALL, OUTPUT, CALL, OUTPUT], [assistant(call()), result(), assistant(call()), result()]),
    ([CALL, OUTPUT, SAY], [assistant(call()), result(), assistant("s")]),
    ([CALL, {"type": "web_search_call", "id": "w"}, OUTPUT], [assistant(call()), result()]),
    ([{**CALL, "arguments": " "}, OUTPUT], [assistant(call(arguments="{}")), result()]),
    ([{**CALL, "namespace": "n"}, OUTPUT], [assistant(call(name="n__f")), result()]),
    ([CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "a"}]}], [assistant(call()), result("a")]),
    ([ASK, CUT], [user("q")]),
    ([ASK, SAY, CUT, ASK], [user("q"), assistant("s"), user("q")]),
    (
        [
            {"type": "custom_tool_call", "call_id": "c1", "name": "f", "input": 'say "x"'},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        ],
        [assistant(call(arguments='{"input":"say \\"x\\""}')), result()],
    ),
    (
        [
            {
                "type": "local_shell_call",
                "id": "l1",
                "call_id": "c1",
                "action": {"type": "exec", "command": ["ls"], "env": {"A": "b"}, "timeout_ms": 5},
            },
            {"type": "local_shell_call_output", "id": "l1", "output": "done"},
        ],
        [assistant(call(name="local_shell", arguments='{"command":["ls"],"timeout_ms":5,"env":{"A":"b"}}')), result()],
    ),
    (
        [
            {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"], "max_output_length": 9}},
            {
                "type": "shell_call_output",
                "call_id": "c1",
                "output": [SHELL_OUTPUT, {"stdout": "", "stderr": "e", "outcome": {"type": "timeout"}}],
            },
        ],
        [
            assistant(call(name="shell", arguments='{"commands":["ls"],"max_output_length":9}')),
            result(
                '[{"stdout":"a","stderr":"","outcome":"exit code 0"},{"stdout":"","stderr":"e","outcome":"timeout"}]'
            ),
        ],
    ),
    (
        [
            {"type": "apply_patch_call", "call_id": "c1", "operation": {"type": "delete_file", "path": "p"}},
            {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed"},
        ],
        [
            assistant(call(name="apply_patch", arguments='{"type":"delete_file","path":"p"}')),
            result("The patch failed."),
        ],
    ),
    (
        [ASK, {"type": "compaction", "encrypted_content": "sealed:we met"}, ASK],
        [user("q"), text_message("developer", "Summary of the earlier conversation: we met"), user("q")],
    ),
    ([{"type": "reasoning", "encrypted_content": "sealed:t"}, SAY], [assistant(reasoning("t"), "s")]),
    (
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "sum"}]}, SAY],
        [assistant(reasoning("sum"), "s")],
    ),
    (
        [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "sum"}],
                "encrypted_content": "sealed:whole",
            },
            SAY,
        ],
        [assistant(reasoning("whole"), "s")],
    ),
    ([{"type": "reasoning", "summary": []}, SAY], [assistant("s")]),
]


@pytest.mark.parametrize(("items", "expected"), CASES, ids=range(len(CASES)))
def test_items_become_messages(items: Sequence[Any], expected: Sequence[Message]) -> None:
    """Items become messages; those of one answer become one message of the assistant, followed by its results."""
    assert messages(*items) == tuple(expected)


@pytest.mark.parametrize(("items", "expected"), CASES, ids=range(len(CASES)))
def test_stored_items_become_the_same_messages(items: Sequence[Any], expected: Sequence[Message]) -> None:
    """Items that were stored, in whole or in part, become the same messages as items that are sent again."""
    given = read(*items)
    for n_earlier in (len(given), len(given) // 2):
        earlier = from_stored(to_stored(given[:n_earlier]))
        assert to_messages(None, [*earlier, *given[n_earlier:]], unseal, n_earlier=n_earlier) == tuple(expected)


def test_a_hosted_call_needs_no_id() -> None:
    """An image whose id the caller has left out is still a call with its result."""
    image = {**IMAGE, "id": None}
    made = [message.parts[0] for message in messages(ASK, image, image) if message.role == "assistant"]
    assert made == [call(f"hosted_{at}", DRAWN.name, DRAWN.arguments) for at in (1, 2)]


def test_instructions_come_first() -> None:
    """Instructions are the first message, of the system; empty ones are none."""
    system = {"role": "system", "content": "s"}
    assert messages(system, instructions="i") == (text_message("system", "i"), text_message("system", "s"))
    assert messages(ASK, instructions="") == (user("q"),)
    assert messages(instructions="i") == (text_message("system", "i"),)


WRONG: list[tuple[list[Any], str, str]] = [
    ([OUTPUT], "input", "No tool call found for function call output with call_id c1."),
    ([OUTPUT, CALL], "input", "No tool call found for function call output with call_id c1."),
    ([CALL], "input", "No tool output found for function call c1."),
    ([CALL, ASK, OUTPUT], "input", "No tool output found for function call c1."),
    ([CALL, CALL2, OUTPUT, ASK], "input", "No tool output found for function call c2."),
    ([CALL, OUTPUT, ASK, OUTPUT], "input", "No tool call found for function call output with call_id c1."),
    ([CALL, OUTPUT, OUTPUT], "input[2].call_id", "Duplicate output found for the call with call_id c1."),
    ([CALL, CALL, OUTPUT], "input[1].call_id", "Duplicate function call found with call_id c1."),
    ([CUT, OUTPUT], "input[0].arguments", "must be a JSON object"),
    ([{**ASK, "id": "m"}, {**SAY, "id": "m"}], "input[1].id", "Duplicate item found with id m."),
    ([ASK, {"type": "reasoning", "encrypted_content": "x"}], "input[1].encrypted_content", "No."),
    ([{"type": "compaction", "encrypted_content": "x"}], "input[0].encrypted_content", "No."),
    ([], "input", "Missing"),
]


@pytest.mark.parametrize(("items", "param", "words"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_belong_together_is_refused(items: Sequence[Any], param: str, words: str) -> None:
    """A call without its output, an output without its call, and anything given twice are a 400."""
    with pytest.raises(InvalidRequest) as caught:
        messages(*items)
    assert caught.value.param == param
    assert words in caught.value.message


def test_errors_name_the_items_of_the_request() -> None:
    """Places count from the first item of the request; an error of an earlier item names no place."""
    with pytest.raises(InvalidRequest) as caught:
        messages(CALL, OUTPUT, OUTPUT, n_earlier=2)
    assert caught.value.param == "input[0].call_id"
    with pytest.raises(InvalidRequest) as caught:
        messages(CALL, OUTPUT, OUTPUT, ASK, n_earlier=3)
    assert caught.value.param == "input"
    with pytest.raises(InvalidRequest) as caught:
        messages({**ASK, "id": "m"}, {**ASK, "id": "m"}, n_earlier=1)
    assert caught.value.param == "input[0].id"


def test_a_bad_seal_has_its_code() -> None:
    """Reasoning that another server sealed is a 400 with a code of its own, unless it is stored here as text."""
    sealed = {**thought("t"), "encrypted_content": "other"}
    with pytest.raises(InvalidRequest) as caught:
        messages(sealed, SAY)
    assert caught.value.code == "invalid_encrypted_content"
    assert messages(sealed, SAY, n_earlier=1) == (assistant(reasoning("t"), "s"),)
    with pytest.raises(InvalidRequest) as caught:
        to_messages(None, read(sealed, SAY), lambda _: None)
    assert caught.value.code == "invalid_encrypted_content"


def file(**fields: Any) -> dict[str, Any]:
    parts = [{"type": "input_text", "text": "Read:"}, {"type": "input_file", **fields}]
    return {"role": "user", "content": [*parts, {"type": "input_text", "text": "Well?"}]}


DATA = base64.b64encode(b"\xef\xbb\xbfHello").decode()


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"filename": "a.txt", "file_data": DATA}, "a.txt"),
        ({"file_data": f"data:text/plain;charset=utf-8;base64,{DATA}"}, "file"),
        ({"file_id": "file-1"}, "file-1"),
        ({"file_id": "file-1", "filename": "b.md", "detail": "low"}, "b.md"),
    ],
)
def test_text_files_are_paragraphs(fields: dict[str, Any], name: str) -> None:
    """A text file, sent or uploaded, is a paragraph below its name."""
    expected = (user(f"Read:\n\nFile {name}:\nHello\n\nWell?"),)
    assert messages(file(**fields), read_file={"file-1": b"Hello"}.__getitem__) == expected


def test_files_in_outputs_are_read() -> None:
    """A file that a tool returned is read too."""
    output = {**OUTPUT, "output": [{"type": "input_file", "file_id": "file-1"}]}
    assert messages(CALL, output, read_file=lambda _: b"x")[1] == result("File file-1:\nx")


BAD_FILES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "file_data", "Missing"),
    ({"file_data": DATA, "file_id": "f"}, "file_id", "either"),
    ({"file_url": "https://example.com/a.txt"}, "file_url", "not fetched"),
    ({"file_data": "?"}, "file_data", "not base64"),
    ({"file_data": "data:text/plain,Hello"}, "file_data", "in base64"),
    ({"file_data": base64.b64encode(b"\xff\xfe").decode(), "filename": "b.bin"}, "file_data", "'b.bin' is not"),
    ({"file_data": base64.b64encode(b"%PDF-1.7").decode()}, "file_data", "text in UTF-8 only"),
    ({"file_data": DATA, "detail": "most"}, "detail", "'auto', 'low', 'high'"),
    ({"file_id": "file-1"}, "file_id", "text in UTF-8 only"),
]


@pytest.mark.parametrize(("fields", "field", "words"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_other_files_are_refused_by_name(fields: dict[str, Any], field: str, words: str) -> None:
    """A file that is not text, or not here, is a 400 that names its field."""
    with pytest.raises(InvalidRequest) as caught:
        messages(file(**fields), read_file=lambda _: b"a\0b")
    assert caught.value.param == f"input[0].content[1].{field}"
    assert words in caught.value.message


def test_without_storage_there_are_no_files() -> None:
    """The id of a file is a 400 on a server that has none."""
    with pytest.raises(InvalidRequest, match="no files"):
        messages(file(file_id="file-1"))


def test_what_a_history_refers_to_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and sealed texts are refused when all together are too large, however short the input is."""
    monkeypatch.setattr(input_files, "MAX_REFERRED_BYTES", 10)
    sealed = {"type": "reasoning", "encrypted_content": "sealed:1234"}
    assert messages(sealed, sealed)
    with pytest.raises(InvalidRequest, match="at most 10 bytes") as caught:
        messages(sealed, sealed, file(file_id="f"), read_file=lambda _: b"abc")
    assert caught.value.param == "input[2].content[1].file_id"


def test_a_history_is_bounded() -> None:
    """A conversation with too many items is a 400."""
    (item,) = read(ASK)
    with pytest.raises(InvalidRequest, match="Start a new one"):
        to_messages(None, [item] * (MAX_ITEMS + 1), unseal, n_earlier=MAX_ITEMS)
