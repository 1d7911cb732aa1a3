"""The bodies and the query of the tokenizer endpoints, and their engine requests. Knows no vocabulary."""

from typing import Any

import msgspec

from homeport.api import validation
from homeport.api.chat.messages import MAX_MESSAGES, parse_messages
from homeport.api.chat.schema import ChatMessageParam
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import ChatPrompt, TextPrompt, TokenPrompt, TokenRequest

MOST_CHARACTERS = 1_000_000
MOST_TOKENS = 1_000_000


class TokenizeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A text, or the messages of a chat. Fields of type `Any` are refused unless their value asks for nothing."""

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

    def token_request(self) -> TokenRequest:
        """Check everything that needs no model, and make the engine request. Raises InvalidRequest."""
        if (self.prompt is None) == (self.messages is None):
            raise InvalidRequest(
                "Give either 'prompt' or 'messages'.", param="prompt", code="missing_required_parameter"
            )
        for name in ("tools", "chat_template", "chat_template_kwargs", "mm_processor_kwargs", "continue_final_message"):
            if getattr(self, name):
                raise validation.unsupported_field(name, "Conversations are always tokenized as for an answer.")
        if self.messages is None:
            validation.check_length("prompt", self.prompt, MOST_CHARACTERS)
            prompt: TextPrompt | ChatPrompt = TextPrompt(self.prompt or "")
        else:
            if self.add_generation_prompt is False:
                raise validation.unsupported_field(
                    "add_generation_prompt", "Conversations are always tokenized as for an answer."
                )
            validation.check_items("messages", self.messages, MAX_MESSAGES, 1)
            prompt = ChatPrompt(parse_messages(self.messages))
        return TokenRequest((prompt,), self.add_special_tokens is not False, bool(self.return_token_strs))


class DetokenizeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Token ids."""

    tokens: list[int]
    model: str | None = None

    def token_request(self) -> TokenRequest:
        """Check the ids, and make the engine request. Raises InvalidRequest."""
        validation.check_items("tokens", self.tokens, MOST_TOKENS)
        return TokenRequest((TokenPrompt(validation.check_token_ids("tokens", self.tokens)),))


class InfoQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The model whose tokenizer is described."""

    model: str | None = None
