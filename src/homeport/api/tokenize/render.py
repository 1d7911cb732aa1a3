"""The JSON of the tokenizer endpoints, in vLLM's format. Knows nothing of HTTP."""

from collections.abc import Callable, Mapping, Sequence

from homeport.api import json_codec
from homeport.api.writer import CollectingWriter
from homeport.domain.events import Event, TokenizeResult


class TokenWriter(CollectingWriter):
    """Renders the result, given the model's window in tokens."""

    def __init__(self, render: Callable[[TokenizeResult, int | None], Mapping[str, object]]) -> None:
        self._render = render
        self._result = TokenizeResult()

    def collect(self, events: Sequence[Event]) -> None:
        """Collect the result."""
        self._result = next((event for event in events if isinstance(event, TokenizeResult)), self._result)

    async def finish(self) -> bytes:
        """Return the body."""
        return json_codec.encode(self._render(self._result, self.answer.window))


def render_ids(result: TokenizeResult, window: int | None) -> Mapping[str, object]:
    """Render token ids."""
    return {"count": len(result.ids), "max_model_len": window, "tokens": result.ids, "token_strs": None}


def render_ids_and_texts(result: TokenizeResult, window: int | None) -> Mapping[str, object]:
    """Render token ids with the text of each."""
    return {**render_ids(result, window), "token_strs": result.names}


def render_text(result: TokenizeResult, _window: int | None) -> Mapping[str, object]:
    """Render the text of token ids."""
    return {"prompt": result.text}


def render_facts(result: TokenizeResult, window: int | None) -> Mapping[str, object]:
    """Render the facts of a model's tokenizer."""
    facts = result.facts
    if facts is None:
        return {}
    return {
        "tokenizer_class": "Homeport",
        "model_max_length": window,
        "vocab_size": facts.vocabulary,
        "add_bos_token": facts.adds_start,
        "bos_token": facts.bos,
        "eos_token": facts.eos,
        "unk_token": facts.unknown,
        "pad_token": facts.padding,
        "chat_template": facts.chat_template,
    }
