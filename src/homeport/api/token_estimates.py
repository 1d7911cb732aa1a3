"""Estimates the tokens of a request before they are counted, to reserve them in a key's limits.

As OpenAI does: one token per four characters, and the most tokens that the answer may have. Images
count the same, whatever their size. The reservation is corrected when the prompt is tokenized, and settled by the
request's usage.
"""

from functools import singledispatch

from homeport.domain.content import ImagePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.moderation import ModerationRequest
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import (
    ChatPrompt,
    EditPrompt,
    InfillPrompt,
    Prompt,
    TextPrompt,
    TextRequest,
    TokenPrompt,
)
from homeport.domain.worker_messages import EngineRequest

_CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 1024
"""What an image is assumed to cost until its model has counted it, which depends on the model and the image."""


@singledispatch
def prompt_tokens(_engine_request: EngineRequest, /) -> int:
    """Estimate the tokens of the prompt; 0 if the request does not contain it, as for a recording."""
    return 0


def answer_tokens(engine_request: EngineRequest) -> int | None:
    """Return the most tokens of all candidates, including those that are not returned; None: there is no limit."""
    if not isinstance(engine_request, TextRequest):
        return 0
    stopping = engine_request.stopping
    maximum = stopping.default_tokens if stopping.max_tokens is None else stopping.max_tokens
    if maximum is None:
        return None
    return maximum * max(engine_request.n, engine_request.best_of) * len(engine_request.prompts)


@prompt_tokens.register
def _text(engine_request: TextRequest) -> int:
    return sum(map(_prompt_tokens, engine_request.prompts))


@prompt_tokens.register
def _embedding(engine_request: EmbeddingRequest) -> int:
    # Images count as their patches, whose number only the model knows.
    return sum(0 if isinstance(each, ImagePart) else _prompt_tokens(each) for each in engine_request.inputs)


@prompt_tokens.register
def _speech(engine_request: SpeechRequest) -> int:
    return _size(len(engine_request.text))


@prompt_tokens.register
def _moderation(engine_request: ModerationRequest) -> int:
    return _size(sum(len(part.text) for parts in engine_request.inputs for part in parts if isinstance(part, TextPart)))


def _prompt_tokens(prompt: Prompt) -> int:
    if isinstance(prompt, TokenPrompt):
        return len(prompt.ids)
    if isinstance(prompt, TextPrompt):
        return _size(len(prompt.text))
    if isinstance(prompt, ChatPrompt):
        texts = sum(_part_size(part) for message in prompt.messages for part in message.parts)
        tools = prompt.tools.tools if prompt.tools else ()
        return _size(texts + sum(len(f"{tool.name}{tool.description}{tool.parameters or ''}") for tool in tools))
    if isinstance(prompt, EditPrompt):
        return _size(len(prompt.input) + len(prompt.instruction))
    if isinstance(prompt, InfillPrompt):
        return _prompt_tokens(prompt.prefix) + _size(len(prompt.suffix))
    return 1  # an empty prompt


def _part_size(part: Part) -> int:
    """Return the characters of a part, or as many as make the tokens of an image; 0 for other data."""
    if isinstance(part, ImagePart):
        return IMAGE_TOKENS * _CHARS_PER_TOKEN
    if isinstance(part, TextPart | ReasoningPart | ToolResultPart):
        return len(part.text)
    return len(part.name) + len(part.arguments) if isinstance(part, ToolCallPart) else 0


def _size(characters: int) -> int:
    return -(-characters // _CHARS_PER_TOKEN)
