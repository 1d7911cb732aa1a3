"""The bodies and the query of the tokenizer endpoints."""

from typing import Any

import msgspec

from homeport.api.chat.schema import ChatMessageParam


class TokenizeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A text, or the messages of a chat. Fields typed `Any` are refused unless their value has no effect."""

    model: str | None = None
    prompt: str | None = None
    messages: list[ChatMessageParam] | None = None
    add_special_tokens: bool | None = None
    return_token_strs: bool | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    tools: Any = None
    chat_template: Any = None
    chat_template_kwargs: Any = None
    mm_processor_kwargs: Any = None


class DetokenizeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Token ids."""

    tokens: list[int]
    model: str | None = None


class InfoQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The model whose tokenizer is described."""

    model: str | None = None
