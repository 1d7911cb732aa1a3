"""The messages of a conversation: blocks, calls and results, thinking, images and documents."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from homeport.api.responses.sealed_text import seal
from homeport.domain.content import (
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_message,
)
from tests.api.image_inputs import vision_app
from tests.api.image_inputs.vision_app import png
from tests.api.messages.calls import PATH, PLAIN, SECRET, error_of, post, sent_prompt

USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}
ASK = {"role": "user", "content": "Hi"}


def text(value: str) -> dict[str, Any]:
    """Return a block of text."""
    return {"type": "text", "text": value}


def document(source: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return a document."""
    return {"type": "document", "source": source, **fields}


async def read(*messages: dict[str, Any]) -> Sequence[Message]:
    """Return what messages become."""
    return (await sent_prompt(messages=list(messages))).messages


async def refusal(*messages: dict[str, Any]) -> str:
    """Return the text of the error that refuses messages."""
    response = await post(messages=list(messages))
    assert response.status == 400
    return str(error_of(response)["message"])


async def test_blocks_of_text_are_paragraphs() -> None:
    """The texts of a message are joined with a blank line."""
    assert await read({"role": "user", "content": [text("a"), text("b")]}) == (text_message("user", "a\n\nb"),)


async def test_results_become_messages_before_the_rest() -> None:
    """Results of tools are messages of their own; what the user says with them comes after."""
    messages = await read(
        ASK, {"role": "assistant", "content": [text("Wait."), USE]}, {"role": "user", "content": [text("And?"), RESULT]}
    )
    assert messages[1:] == (
        Message("assistant", (TextPart("Wait."), ToolCallPart("t1", "f", '{"a":1}'))),
        Message("tool", (ToolResultPart("t1", "done"),)),
        text_message("user", "And?"),
    )


async def test_results_may_come_in_several_messages() -> None:
    """Messages of the user in a row are one turn, whose results may be apart."""
    second = {**USE, "id": "t2"}
    messages = await read(
        ASK,
        {"role": "assistant", "content": [USE, second]},
        {"role": "user", "content": [RESULT, text("First.")]},
        {"role": "user", "content": [{**RESULT, "tool_use_id": "t2"}]},
    )
    assert [message.role for message in messages] == ["user", "assistant", "tool", "tool", "user"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"content": "no", "is_error": True}, "Error: no"),
        ({"is_error": True}, "Error"),
        ({}, ""),
        ({"content": [text("a"), {"type": "tool_reference", "tool_name": "g"}]}, "a\n\ng"),
        ({"content": [document({"type": "text", "media_type": "text/plain", "data": "x"})]}, "Document:\n\nx"),
    ],
)
async def test_a_result_is_one_text(fields: dict[str, Any], expected: str) -> None:
    """A result's blocks are its text, which says if the tool failed."""
    result = {"type": "tool_result", "tool_use_id": "t1", **fields}
    messages = await read(ASK, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [result]})
    assert messages[-1] == Message("tool", (ToolResultPart("t1", expected),))


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "thinking", "thinking": "Hm.", "signature": "of another server"}, "Hm."),
        ({"type": "thinking", "thinking": "Hm."}, "Hm."),
        ({"type": "thinking", "thinking": "", "signature": seal(SECRET, "Sealed.")}, "Sealed."),
        ({"type": "thinking", "thinking": "", "signature": "of another server"}, ""),
        ({"type": "redacted_thinking", "data": "of another server"}, ""),
    ],
)
async def test_thinking_is_taken_back(block: dict[str, Any], expected: str) -> None:
    """Shown thinking is read as it is, hidden thinking from its signature; what nobody here can read is left out."""
    messages = await read(ASK, {"role": "assistant", "content": [block, text("Yes.")]}, ASK)
    parts = (ReasoningPart(expected), TextPart("Yes.")) if expected else (TextPart("Yes."),)
    assert messages[1] == Message("assistant", parts)


async def test_instructions_may_be_in_the_middle() -> None:
    """A message of role system is one for the model, also as the last one."""
    messages = await read(ASK, {"role": "system", "content": "Be brief."})
    assert messages == (text_message("user", "Hi"), text_message("system", "Be brief."))


async def test_documents_are_texts_below_their_titles() -> None:
    """A document's text follows its title and context; a search result's its title and source."""
    found = {"type": "search_result", "source": "s", "title": "T", "content": [text("x")]}
    blocks = [
        document({"type": "text", "media_type": "text/plain", "data": "one"}, title="A", context="old"),
        document({"type": "content", "content": [text("two")]}, citations={"enabled": False}),
        found,
    ]
    (message,) = await read({"role": "user", "content": blocks})
    assert message.text == "Document A:\nold\n\none\n\nDocument:\n\ntwo\n\nSearch result T (s):\nx"


async def test_a_call_with_a_long_name_has_the_models_name() -> None:
    """Names of more than 64 characters are shortened as those of declared tools are."""
    name = "n" * 100
    tool = {"name": name, "input_schema": {"type": "object"}}
    prompt = await sent_prompt(
        tools=[tool],
        messages=[
            ASK,
            {"role": "assistant", "content": [{**USE, "name": name}]},
            {"role": "user", "content": [RESULT]},
        ],
    )
    (call,) = prompt.messages[1].parts
    assert prompt.tools is not None
    assert isinstance(call, ToolCallPart)
    assert call.name == prompt.tools.tools[0].name
    assert len(call.name) == 64


IMAGE = base64.b64encode(png()).decode()
BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([{"role": "tool", "content": "x"}], "Supported values are: 'user', 'assistant', 'system'"),
    ([{"role": "user"}], "messages[0].content"),
    ([{"role": "user", "content": [{"text": "x"}]}], "messages[0].content[0].type"),
    ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
    ([{"role": "user", "content": [{"type": "text", "text": "x", "id": "y"}]}], "content[0].id"),
    ([{"role": "user", "content": [{"type": "audio"}]}], "content[0].type"),
    ([{"role": "user", "content": [USE]}], "content[0].type"),
    ([{"role": "user", "content": [{"type": "server_tool_use", "id": "s", "name": "web_search"}]}], "server_tool_use"),
    ([{"role": "user", "content": [{"type": "web_search_tool_result", "content": []}]}], "web_search_tool_result"),
    ([ASK, {"role": "assistant", "content": "I"}], "messages[1]"),
    ([ASK, {"role": "assistant", "content": [RESULT]}], "messages[1].content[0].type"),
    ([ASK, {"role": "assistant", "content": [USE]}, ASK], "t1"),
    ([ASK, {"role": "assistant", "content": [USE]}, ASK, {"role": "assistant", "content": "x"}, ASK], "t1"),
    ([{"role": "user", "content": [RESULT]}], "messages[0].content[0].tool_use_id"),
    ([ASK, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT, RESULT]}], "content[1]"),
    ([ASK, {"role": "assistant", "content": [USE, USE]}, ASK], "messages[1].content"),
    ([ASK, {"role": "assistant", "content": [{**USE, "input": [1]}]}, ASK], "messages[1].content[0].input"),
    ([ASK, {"role": "assistant", "content": [{**USE, "id": ""}]}, ASK], "messages[1].content[0].id"),
    ([ASK, {"role": "assistant", "content": [{**USE, "name": "a b"}]}, ASK], "messages[1].content[0].name"),
    (
        [{"role": "user", "content": [document({"type": "base64", "media_type": "application/pdf", "data": "x"})]}],
        "text",
    ),
    ([{"role": "user", "content": [document({"type": "text", "data": "x"})]}], "source.media_type"),
    ([{"role": "user", "content": [document({"type": "x"})]}], "source.type"),
    (
        [{"role": "user", "content": [document({"type": "content", "content": "x"}, citations={"enabled": True})]}],
        "cite",
    ),
    ([{"role": "user", "content": [{"type": "image", "source": "x"}]}], "source"),
    ([{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "x"}}]}], "media_type"),
    ([{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}], "source.url"),
    ([{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": ""}}]}], "source.url"),
    ([{"role": "system", "content": [{"type": "image"}]}], "content[0].type"),
    ([{"role": "user", "content": [text("x")] * 2049}], "messages[0].content"),
]


@pytest.mark.parametrize(("messages", "named"), BAD, ids=[f"{at}-{named}" for at, (_, named) in enumerate(BAD)])
async def test_a_wrong_block_is_refused_by_name(messages: list[dict[str, Any]], named: str) -> None:
    """Each error names the block or its field."""
    assert named in await refusal(*messages)


@pytest.mark.parametrize(("path", "max_tokens"), [(PATH, 5), (f"{PATH}/count_tokens", ...)], ids=["message", "count"])
async def test_a_model_that_does_not_see_refuses_images(path: str, max_tokens: Any) -> None:
    """The error names the block of the image."""
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    messages = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    response = await post(path=path, messages=messages, max_tokens=max_tokens)
    assert response.status == 400
    assert "messages[0].content[0]" in error_of(response)["message"]


async def test_a_model_that_sees_gets_images_in_their_places(tmp_path: Path) -> None:
    """Images of messages and of results are files for the worker, in order, until the answer is sent."""
    serving = vision_app.SeeingServing()
    app = vision_app.vision_app(serving, tmp_path)
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    image = {"type": "image", "source": source}
    messages = [
        {"role": "user", "content": [text("a"), image, text("b")]},
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [{**RESULT, "content": [image, text("seen")]}]},
    ]
    response = await vision_app.post(app, PATH, {**PLAIN, "model": vision_app.SEEING, "messages": messages})
    assert response.status == 200, response.body
    (prompt,) = serving.prompts
    assert [type(part) for part in prompt.messages[0].parts] == [TextPart, ImagePart, TextPart]
    assert [type(part) for part in prompt.messages[2].parts] == [ToolResultPart, ImagePart]
    assert serving.seen == [[png(), png()]]
    assert not any(file.exists() for file in serving.files)


async def test_bad_base64_is_refused_by_name(tmp_path: Path) -> None:
    """An image that is not base64 is a 400 that names its field."""
    source = {"type": "base64", "media_type": "image/png", "data": "?"}
    messages = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    app = vision_app.vision_app(vision_app.SeeingServing(), tmp_path)
    response = await vision_app.post(app, PATH, {**PLAIN, "model": vision_app.SEEING, "messages": messages})
    assert response.status == 400
    assert "messages[0].content[0].source.data" in error_of(response)["message"]
