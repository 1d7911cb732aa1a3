"""How many tokens a request will probably take, before anybody has counted them: what is reserved of a key's limits.

As OpenAI does: a token for every four characters, and what the answer may take at most. Corrected when the prompt has
been counted, and settled by what the request really took.
"""

from functools import singledispatch

from homeport.domain.content import TextPart
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

_CHARACTERS = 4


@singledispatch
def prompt_tokens(asked: EngineRequest) -> int:  # noqa: ARG001 - the others read it
    """The estimate of a prompt; 0 where the request itself does not tell, as of a recording."""
    return 0


def answer_tokens(asked: EngineRequest) -> int | None:
    """The most that all its answers take together, those included that are not given out; None: nothing bounds it."""
    if not isinstance(asked, TextRequest):
        return 0
    most = asked.stopping.default_tokens if asked.stopping.max_tokens is None else asked.stopping.max_tokens
    return None if most is None else most * max(asked.n, asked.best_of) * len(asked.prompts)


@prompt_tokens.register
def _text(asked: TextRequest) -> int:
    return sum(map(_prompt_tokens, asked.prompts))


@prompt_tokens.register
def _embedding(asked: EmbeddingRequest) -> int:
    return sum(map(_prompt_tokens, asked.inputs))


@prompt_tokens.register
def _speech(asked: SpeechRequest) -> int:
    return _size(len(asked.text))


@prompt_tokens.register
def _moderation(asked: ModerationRequest) -> int:
    return _size(sum(len(part.text) for parts in asked.inputs for part in parts if isinstance(part, TextPart)))


def _prompt_tokens(prompt: Prompt) -> int:
    if isinstance(prompt, TokenPrompt):
        return len(prompt.ids)
    if isinstance(prompt, TextPrompt):
        return _size(len(prompt.text))
    if isinstance(prompt, ChatPrompt):
        return _size(sum(len(message.text) for message in prompt.messages))
    if isinstance(prompt, EditPrompt):
        return _size(len(prompt.input) + len(prompt.instruction))
    if isinstance(prompt, InfillPrompt):
        return _prompt_tokens(prompt.prefix) + _size(len(prompt.suffix))
    return 1  # a document's start


def _size(characters: int) -> int:
    return -(-characters // _CHARACTERS)
