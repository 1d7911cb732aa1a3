"""Messages: roles, all forms of content, calls and results, and refusals that name the message."""

from typing import Any

import pytest

from homeport.api.chat.schema import ChatMessageParam
from homeport.domain.content import (
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_message,
)
from homeport.domain.history import AnswerFields
from homeport.domain.text import ChatPrompt
from tests.api.text_generation.calls import post, sent_request

EMPTY = dict.fromkeys(
    ("refusal", "annotations", "audio", "function_call", "tool_calls", "parsed", "reasoning_content", "name")
)
CITATION = {"type": "url_citation", "url_citation": {"start_index": 0, "end_index": 1, "url": "u", "title": "t"}}
FUNCTION = {"name": "f", "arguments": "{}"}
CALL = {"id": "1", "type": "function", "function": FUNCTION}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"role": "system", "content": "x"}, text_message("system", "x")),
        ({"role": "developer", "content": "x"}, text_message("developer", "x")),
        ({"role": "user", "content": "x", "name": "Ann"}, text_message("user", "x", "Ann")),
        ({"role": "user", "content": ""}, text_message("user", "")),
        ({"role": "assistant", "content": None}, text_message("assistant", "")),
        ({"role": "assistant"}, text_message("assistant", "")),
        ({"role": "assistant", "content": "x", "tool_calls": [], "audio": None}, text_message("assistant", "x")),
        ({"role": "assistant", "content": None, "refusal": "No."}, text_message("assistant", "No.")),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            text_message("user", "ab"),
        ),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, text_message("assistant", "No.")),
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}],
            },
            text_message("user", "a"),
        ),
        ({"role": "user", "content": "<|im_start|>system"}, text_message("user", "<|im_start|>system")),
    ],
)
async def test_messages_become_plain_turns(sent: dict[str, Any], expected: Message) -> None:
    """Text of every role and form reaches the worker unchanged."""
    assert (await sent_request("chat", messages=[sent])).prompts == (ChatPrompt((expected,)),)


@pytest.mark.parametrize(
    "extra",
    [
        EMPTY,
        {"annotations": [], "tool_calls": []},
        {"annotations": [CITATION]},
        {"parsed": {"answer": 42}},
        {"reasoning_content": "", "reasoning": ""},
        {"id": "chatcmpl-1-0", "content_parts": None},
        {"refusal": ""},
    ],
    ids=lambda extra: "-".join(extra)[:40],
)
@pytest.mark.parametrize("content", ["x", [{"type": "text", "text": "x", "refusal": None}]], ids=["text", "parts"])
async def test_fields_of_answers_are_ignored_in_history(extra: dict[str, Any], content: Any) -> None:
    """Fields that answers and clients add to a message's text are ignored in history."""
    request = await sent_request("chat", messages=[{"role": "assistant", "content": content, **extra}])
    assert request.prompts == (ChatPrompt((text_message("assistant", "x"),)),)


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
async def test_empty_fields_pass_in_every_role(role: str) -> None:
    """Clients send all fields of a message for every role; null is ignored."""
    request = await sent_request("chat", messages=[{"role": role, "content": "x", **EMPTY}])
    assert request.prompts == (ChatPrompt((text_message(role, "x"),)),)


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"role": "wizard", "content": "x"}, ".role", "Supported values are: 'system', 'developer', 'user', 'assistant'"),
    ({"role": "tool", "content": "x", "tool_call_id": "1"}, ".role", "must be a response to a preceeding message"),
    ({"role": "tool", "content": "x"}, ".tool_call_id", "Missing required parameter"),
    ({"role": "tool", "tool_call_id": "1"}, ".content", "expected a string, got null"),
    ({"role": "tool", "tool_call_id": 1, "content": "x"}, ".tool_call_id", "expected a string"),
    ({"role": "function", "content": "x"}, ".name", "Missing required parameter"),
    ({"content": "x"}, ".role", "Missing required parameter"),
    ({"role": "user"}, ".content", "expected a string, got null"),
    ({"role": "user", "content": None}, ".content", "expected a string, got null"),
    ({"role": "user", "content": []}, ".content", "empty array"),
    ({"role": "user", "content": 5}, ".content", "expected"),
    ({"role": "user", "content": [IMAGE]}, ".content[0]", "image_url is only supported by certain models"),
    ({"role": "tool", "content": [{"type": "input_audio", "input_audio": {}}]}, ".content", "input_audio is only"),
    (
        {"role": "user", "content": [{"type": "file", "file": {}}]},
        ".content[0].file.file_data",
        "Missing required parameter",
    ),
    ({"role": "system", "content": [IMAGE]}, ".content[0]", "only allowed for messages with role 'user'"),
    ({"role": "assistant", "content": [IMAGE]}, ".content[0]", "but this message has role 'assistant'"),
    ({"role": "user", "content": [{"type": "text"}]}, ".content[0].text", "Missing required parameter"),
    ({"role": "user", "content": [{"type": "song", "text": "la"}]}, ".content[0].type", "Supported values are: 'text'"),
    ({"role": "user", "content": [{"type": "refusal", "refusal": "x"}]}, ".content[0].type", "'text'"),
    (
        {"role": "user", "content": [{"type": "text", "text": "x", "image_url": {"url": ""}}]},
        ".content[0].image_url",
        "has no 'image_url'",
    ),
    ({"role": "user", "content": "x", "refusal": "y"}, ".refusal", "assistant"),
    ({"role": "user", "content": "x", "audio": {"id": "a"}}, ".audio", "Only an assistant's message"),
    ({"role": "user", "content": "x", "tool_call_id": "1"}, ".tool_call_id", "Only a message of role 'tool'"),
    ({"role": "user", "content": "x", "tool_calls": [CALL]}, ".tool_calls", "Only an assistant's message"),
    ({"role": "user", "content": "x", "function_call": FUNCTION}, ".function_call", "Only an assistant's message"),
    ({"role": "user", "content": "x", "reasoning": "Hm."}, ".reasoning", "Only an assistant's message"),
    ({"role": "assistant", "content": "x", "reasoning": {"a": 1}}, ".reasoning", "expected a string"),
    ({"role": "user", "content": "x", "mood": "good"}, ".mood", "Unrecognized"),
]


@pytest.mark.parametrize(("message", "place", "words"), WRONG, ids=[f"{p}-{i}" for i, (_, p, _) in enumerate(WRONG)])
async def test_what_is_wrong_is_named_by_its_place(message: dict[str, Any], place: str, words: str) -> None:
    """The error names the message by its index, and the field."""
    response = await post("chat", messages=[{"role": "user", "content": "fine"}, message])
    assert response.status == 400
    assert words in response.error["message"]
    assert response.error["param"] in (f"messages[1]{place}", f"messages[]{place}", f"messages{place}")


async def test_calls_and_results_become_parts() -> None:
    """Calls follow the text and the reasoning of their message, each result is a message of its own."""
    answer = {
        "role": "assistant",
        "content": "Wait.",
        "reasoning_content": "Hm.",
        "reasoning": "Hm.",
        "tool_calls": [CALL, {"id": "2", "type": "custom", "custom": {"name": "shell", "input": 'ls "a"'}}],
    }
    results = [
        {
            "role": "tool",
            "tool_call_id": "2",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "x"},
    ]
    request = await sent_request("chat", messages=[{"role": "user", "content": "q"}, answer, *results])
    (prompt,) = request.prompts
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages[1:] == (
        Message(
            "assistant",
            (
                ReasoningPart("Hm."),
                TextPart("Wait."),
                ToolCallPart("1", "f", "{}"),
                ToolCallPart("2", "shell", r'{"input":"ls \"a\""}'),
            ),
        ),
        Message("tool", (ToolResultPart("2", "ab"),)),
        Message("tool", (ToolResultPart("1", "x"),)),
    )


@pytest.mark.parametrize(("verbosity", "sentence"), [("low", "as briefly as possible"), ("high", "in full detail")])
async def test_verbosity_is_a_sentence_in_the_system_message(verbosity: str, sentence: str) -> None:
    """The sentence follows the caller's system message, or is one of its own; medium adds nothing."""
    system, user = {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}
    for messages in ([system, user], [user]):
        request = await sent_request("chat", messages=messages, verbosity=verbosity)
        (prompt,) = request.prompts
        assert isinstance(prompt, ChatPrompt)
        first, last = prompt.messages
        assert (first.role, last) == ("system", text_message("user", "Hi"))
        assert sentence in first.text
        assert first.text.startswith("Be kind.\n\n") == (system in messages)
    plain = await sent_request("chat", messages=[user])
    assert await sent_request("chat", messages=[user], verbosity="medium") == plain


@pytest.mark.parametrize("content", ["ab", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]])
async def test_a_prediction_is_text(content: Any) -> None:
    """A prediction is a text or text parts."""
    request = await sent_request("chat", prediction={"type": "content", "content": content})
    (prompt,) = request.prompts
    assert isinstance(prompt, ChatPrompt)
    assert prompt.prediction == "ab"


def test_a_message_has_every_field_of_an_answer() -> None:
    """Every field that clients return from an answer is a field of a message."""
    assert set(AnswerFields.__struct_fields__) <= set(ChatMessageParam.__struct_fields__)
