"""Whether a file fits its purpose; if not, its first invalid line."""

import codecs
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.api.files import content_check
from homeport.domain.errors import InvalidRequest

CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 1}]}
PAIR = {"prompt": "a", "completion": "b"}
BETTER = {
    "input": {"messages": [{"role": "user", "content": "a"}]},
    "preferred_output": [{"role": "assistant", "content": "b"}],
    "non_preferred_output": [{"role": "assistant", "content": "c"}],
}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def written(path: Path, *examples: object) -> Path:
    path.write_bytes(b"\n".join(each if isinstance(each, bytes) else msgspec.json.encode(each) for each in examples))
    return path


TOOL = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING: dict[str, list[Any]] = {
    "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "1", "content": "b"},
        {"role": "assistant", "content": "c"},
    ],
    "tools": [TOOL],
}


@pytest.mark.parametrize(
    "example",
    [CHAT, PAIR, BETTER, {**CHAT, "tools": []}, CALLING, {**CHAT, "functions": [{"name": "f"}]}],
    ids=["chat", "pair", "better", "no tools", "tools", "functions"],
)
def test_every_shape_of_example_passes(tmp_path: Path, example: object) -> None:
    """Conversations, pairs of 2023 and preferences are examples; empty lines are ignored."""
    content_check.check(written(tmp_path / "a", example, b"", example, b"  "), "fine-tune")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"{", "Line 3"),
        (b"[]", "not a JSON object"),
        (b"\xff", "not valid UTF-8"),
        (b"[" * 3000, "Line 3"),
        ({"text": "a"}, "neither 'messages'"),
        ({"prompt": "a"}, "completion"),
        ({"prompt": 1, "completion": "a"}, "prompt"),
        ({**PAIR, "colour": "red"}, "colour"),
        (CHAT, "'messages' where lines before it have 'prompt'"),
    ],
)
def test_the_bad_line_is_named(tmp_path: Path, bad: object, said: str) -> None:
    """The first line that is no example is reported by its number, with the reason."""
    with pytest.raises(InvalidRequest, match="Line 3") as refused:
        content_check.check(written(tmp_path / "a", PAIR, PAIR, bad, PAIR), "fine-tune")
    assert said in refused.value.message
    assert (refused.value.param, refused.value.code) == ("file", "invalid_file_format")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"messages": []}, "'messages' is empty"),
        ({"messages": [{"role": "user", "content": "a"}]}, "assistant"),
        ({"messages": [{"role": "boss", "content": "a"}]}, "messages[0].role 'boss'"),
        ({"messages": [{"role": "assistant", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": "a", "weight": 2}]}, "messages[0].weight"),
        ({"messages": [{"content": "a"}]}, "role"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0] has the type 'image_url'"),
        ({**BETTER, "input": {"messages": [{"role": "user", "content": [IMAGE]}]}}, "input.messages[0].content[0]"),
        ({**BETTER, "preferred_output": []}, "'preferred_output' is empty"),
        ({**CHAT, "tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({**CHAT, "tools": [TOOL, TOOL]}, "declared twice"),
        ({**CHAT, "functions": [{}]}, "functions[0].name"),
        ({"messages": [*CALLING["messages"][:2], CHAT["messages"][0]]}, "must be followed by tool messages"),
        ({"messages": [CHAT["messages"][1], CALLING["messages"][2]]}, "must be a response"),
        ({"messages": [{"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f"}}]}]}, "arguments"),
    ],
)
def test_what_a_conversation_lacks_is_named(tmp_path: Path, bad: object, said: str) -> None:
    """Roles, contents and weights are checked in every message."""
    with pytest.raises(InvalidRequest) as refused:
        content_check.check(written(tmp_path / "a", bad), "fine-tune")
    assert "Line 1" in refused.value.message
    assert said in refused.value.message


def test_a_batch_may_hold_requests_that_will_fail(tmp_path: Path) -> None:
    """For a batch every line must be a JSON object; the batch checks the requests."""
    content_check.check(written(tmp_path / "a", {"custom_id": "1", "url": "/nowhere"}, {}), "batch")
    with pytest.raises(InvalidRequest, match="Line 2"):
        content_check.check(written(tmp_path / "a", {}, b"5"), "batch")


def test_a_file_without_lines_is_refused(tmp_path: Path) -> None:
    """A file of empty lines is invalid."""
    with pytest.raises(InvalidRequest, match="no line"):
        content_check.check(written(tmp_path / "a", b"", b" "), "batch")


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line over the limit is refused without being read completely."""
    monkeypatch.setattr(content_check, "MAX_LINE_BYTES", 50)
    with pytest.raises(InvalidRequest, match="longer than 50 bytes"):
        content_check.check(written(tmp_path / "a", PAIR, {**PAIR, "prompt": "x" * 60}), "fine-tune")


@pytest.mark.parametrize("head", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBP"])
def test_images_for_vision(tmp_path: Path, head: bytes) -> None:
    """A file for vision is an image, by its first bytes."""
    content_check.check(written(tmp_path / "a", head + bytes(20)), "vision")
    with pytest.raises(InvalidRequest, match="WebP image"):
        content_check.check(written(tmp_path / "a", b"x" + head), "vision")


def test_anything_goes_for_other_purposes(tmp_path: Path) -> None:
    """A file with user data may contain anything."""
    content_check.check(written(tmp_path / "a", b"\0\xff"), "user_data")
    content_check.check(written(tmp_path / "a", b"\0\xff"), "assistants")


@pytest.mark.parametrize("purpose", ["fine-tune", "batch"])
def test_byte_order_marks_are_passed_over(tmp_path: Path, purpose: str) -> None:
    """A byte order mark before the first line, or before a later one in a concatenated file, is ignored."""
    line = codecs.BOM_UTF8 + msgspec.json.encode(PAIR)
    content_check.check(written(tmp_path / "a", line, b"", line), purpose)
    with pytest.raises(InvalidRequest, match="no line"):
        content_check.check(written(tmp_path / "b", codecs.BOM_UTF8, b""), purpose)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_another_encoding_is_named_as_such(tmp_path: Path, encoding: str) -> None:
    """PowerShell's UTF-16 is named in the error."""
    path = tmp_path / "a"
    path.write_text('{"prompt": "a", "completion": "b"}\n' * 2, encoding)
    for purpose in ("fine-tune", "batch"):
        with pytest.raises(InvalidRequest, match="Line 1: it is written in UTF-16"):
            content_check.check(path, purpose)
