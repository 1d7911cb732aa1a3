"""Prompts an instruct model for an edit so that it answers with the edited text and nothing else.

The text is in a code fence, the answer is prefilled with the same fence, and the closing fence ends the answer. So the
model cannot add a preamble or an explanation. The fence is longer than any run of backquotes in the text, as in
Markdown. Knows nothing of tokens. The wordings were tested on Qwen2.5-Coder-0.5B and are as short as possible: with
examples it answered in the language of the examples.
"""

import re

import msgspec

from homeport.domain.content import Message, text_message
from homeport.domain.text import EditPrompt

_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_MIN_FENCE = 3

_ENGLISH_WORDING = (
    "Text:\n{fence}\n{text}{fence}\n\nInstruction: {instruction}\n\n"
    "Write the text again with the instruction applied. Keep everything else as it is."
)
_CHINESE_WORDING = (
    "原文：\n{fence}\n{text}{fence}\n\n要求：{instruction}\n\n按要求修改原文，其余部分保持不变，写出修改后的全文。"
)
_NEW_TEXT_WORDING = "{instruction}\n\n{fence}\n{fence}"


class EditConversation(msgspec.Struct, frozen=True):
    """An edit as a conversation, the text that the model's answer is prefilled with, and its stop string."""

    messages: tuple[Message, ...]
    answer_prefix: str
    stop: str


def build_edit_conversation(prompt: EditPrompt) -> EditConversation:
    """Build the conversation. An empty input requests a new text; a Chinese instruction gets the Chinese wording."""
    runs = (len(run) for run in re.findall("`+", prompt.input + prompt.instruction))
    fence = "`" * max(_MIN_FENCE, *(length + 1 for length in runs), 0)
    if not prompt.input:
        wording = _NEW_TEXT_WORDING
    elif _CHINESE.search(prompt.instruction):
        wording = _CHINESE_WORDING
    else:
        wording = _ENGLISH_WORDING
    # The line break before the closing fence belongs to the text if it ends with one, otherwise to the fence.
    ends_line = prompt.input.endswith("\n")
    text = prompt.input if ends_line else prompt.input + "\n"
    content = wording.format(fence=fence, text=text, instruction=prompt.instruction)
    return EditConversation(
        (text_message("user", content),), answer_prefix=fence + "\n", stop=fence if ends_line else "\n" + fence
    )
