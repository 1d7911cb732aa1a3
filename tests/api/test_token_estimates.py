"""The tokens that a request reserves before they are counted."""

from pathlib import Path

from homeport.api.token_estimates import IMAGE_TOKENS, prompt_tokens
from homeport.domain.content import (
    Attachment,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.tools import Tool, ToolUse


def test_a_chat_reserves_tokens_for_all_its_parts_and_tools() -> None:
    """Texts, reasoning, calls, results and declarations count one token per four characters."""
    messages = (
        Message("assistant", (ReasoningPart("r" * 10), TextPart("t" * 20), ToolCallPart("id", "n" * 5, "a" * 15))),
        Message("tool", (ToolResultPart("id", "x" * 30),)),
    )
    tools = ToolUse((Tool("f" * 4, "d" * 6, "p" * 10), Tool("g" * 20)))
    assert prompt_tokens(TextRequest((ChatPrompt(messages),))) == 80 / 4
    assert prompt_tokens(TextRequest((ChatPrompt(messages, tools),))) == 120 / 4


def test_each_image_reserves_tokens() -> None:
    """An image counts as a fixed number of tokens, in addition to the text."""
    image = ImagePart(Attachment(Path("a.png")))
    messages = (Message("user", (TextPart("t" * 20), image)), Message("tool", (ToolResultPart("id", "x" * 20), image)))
    assert prompt_tokens(TextRequest((ChatPrompt(messages),))) == 2 * IMAGE_TOKENS + 40 / 4
