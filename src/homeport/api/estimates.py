"""How many tokens a request will probably take, before anybody has counted them: what is reserved of a key's limits.

As OpenAI does: a token for every four characters, and what the answer may take at most. Settled by what it really took.
"""

from functools import singledispatch

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.link import Request
from homeport.domain.moderation import ModerationRequest, TextPart
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

_CHARACTERS = 4


@singledispatch
def tokens(asked: Request) -> int:  # noqa: ARG001 - the others read it
    """The estimate; 0 where the request itself does not tell, as of a recording."""
    return 0


@tokens.register
def _text(asked: TextRequest) -> int:
    answer = (asked.ending.max_tokens or 0) * max(asked.n, asked.best_of)
    return sum(_of(prompt) + answer for prompt in asked.prompts)


@tokens.register
def _embedding(asked: EmbeddingRequest) -> int:
    return sum(map(_of, asked.inputs))


@tokens.register
def _speech(asked: SpeechRequest) -> int:
    return _size(len(asked.text))


@tokens.register
def _moderation(asked: ModerationRequest) -> int:
    return _size(sum(len(part.text) for parts in asked.inputs for part in parts if isinstance(part, TextPart)))


def _of(prompt: Prompt) -> int:
    if isinstance(prompt, TokenPrompt):
        return len(prompt.ids)
    if isinstance(prompt, TextPrompt):
        return _size(len(prompt.text))
    if isinstance(prompt, ChatPrompt):
        return _size(sum(len(message.content) for message in prompt.messages))
    if isinstance(prompt, EditPrompt):
        return _size(len(prompt.input) + len(prompt.instruction))
    if isinstance(prompt, InfillPrompt):
        return _of(prompt.before) + _size(len(prompt.after))
    return 1  # a document's start


def _size(characters: int) -> int:
    return -(-characters // _CHARACTERS)
