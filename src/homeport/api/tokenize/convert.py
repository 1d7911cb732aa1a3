"""From the bodies of the tokenizer endpoints to the engine request, checks included. Knows no vocabulary."""

from homeport.api.chat.messages import MAX_MESSAGES, parse_messages
from homeport.api.tokenize.schema import DetokenizeBody, TokenizeBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.text import ChatPrompt, TextPrompt, TokenPrompt, TokenRequest

MAX_CHARACTERS = 1_000_000
MAX_TOKENS = 1_000_000
_UNSERVED = ("tools", "chat_template", "chat_template_kwargs", "mm_processor_kwargs", "continue_final_message")
_AS_FOR_AN_ANSWER = "Conversations are always tokenized as for an answer."


def tokenize_to_request(body: TokenizeBody, resolved: ResolvedModel) -> TokenRequest:
    """Make the engine request that tokenizes. Raises InvalidRequest naming the field."""
    if (body.prompt is None) == (body.messages is None):
        raise InvalidRequest("Give either 'prompt' or 'messages'.", param="prompt", code="missing_required_parameter")
    for name in _UNSERVED:
        if getattr(body, name):
            raise validation.unsupported_field(name, _AS_FOR_AN_ANSWER)
    return TokenRequest(
        (_to_prompt(body),),
        adds_start=body.add_special_tokens is not False,
        names=bool(body.return_token_strs),
        encoding=resolved.encoding,
    )


def detokenize_to_request(body: DetokenizeBody, resolved: ResolvedModel) -> TokenRequest:
    """Make the engine request that detokenizes. Raises InvalidRequest naming the field."""
    validation.check_items("tokens", body.tokens, MAX_TOKENS)
    ids = validation.check_token_ids("tokens", body.tokens)
    return TokenRequest((TokenPrompt(ids),), encoding=resolved.encoding)


def _to_prompt(body: TokenizeBody) -> TextPrompt | ChatPrompt:
    if body.messages is None:
        validation.check_length("prompt", body.prompt, MAX_CHARACTERS)
        return TextPrompt(body.prompt or "")
    if body.add_generation_prompt is False:
        raise validation.unsupported_field("add_generation_prompt", _AS_FOR_AN_ANSWER)
    validation.check_items("messages", body.messages, MAX_MESSAGES, 1)
    return ChatPrompt(parse_messages(body.messages))
