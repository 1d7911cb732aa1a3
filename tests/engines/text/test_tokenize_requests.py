"""Token ids of texts, texts of token ids, and the description of a tokenizer, from a running engine."""

from collections.abc import Iterator

import pytest

from homeport.domain.content import text_message
from homeport.domain.events import Admitted, Done, Failed, TokenizeResult, Usage
from homeport.domain.text import (
    ChatPrompt,
    StoppingCriteria,
    TextPrompt,
    TextRequest,
    TokenPrompt,
    TokenRequest,
)
from homeport.engines.text.tokenize_requests import MAX_IDS, MAX_TEXT_BYTES
from tests.engines.text.engine_runner import TextEngineRunner
from tests.engines.text.fake_executor import END, START


@pytest.fixture(scope="module")
def engine() -> Iterator[TextEngineRunner]:
    """An engine on the fake executor: its tokens are bytes and a few control tokens."""
    with TextEngineRunner(window=300) as running:
        yield running


def result_of(engine: TextEngineRunner, request: TokenRequest) -> TokenizeResult | Failed:
    """Return the result of a request, or its failure."""
    id = engine.open(request)
    events = engine.wait(id, lambda events_so_far: bool(events_so_far) and isinstance(events_so_far[-1], Done | Failed))
    if isinstance(events[-1], Failed):
        return events[-1]
    first, found, last = events
    assert (first, last) == (Admitted(0), Done(Usage()))
    assert isinstance(found, TokenizeResult)
    return found


def test_a_text_becomes_ids(engine: TextEngineRunner) -> None:
    """With or without the start token, and with each token's text if requested; control tokens by name."""
    assert result_of(engine, TokenRequest((TextPrompt("hi"),))) == TokenizeResult((START, 104, 105))
    plain = TokenRequest((TextPrompt("h<|end|>"),), adds_start=False, names=True)
    found = result_of(engine, plain)
    assert isinstance(found, TokenizeResult)
    assert found.names[0] == "h"
    assert found.names[-1]


def test_a_conversation_becomes_the_ids_of_a_chat_request(engine: TextEngineRunner) -> None:
    """The ids are those of a chat request with the same messages."""
    chat = ChatPrompt((text_message("user", "hello"),))
    found = result_of(engine, TokenRequest((chat,)))
    assert isinstance(found, TokenizeResult)
    answered = engine.ask(TextRequest((chat,), stopping=StoppingCriteria(max_tokens=1))).admitted
    assert answered is not None
    assert answered.prompt_tokens == len(found.ids)
    assert "hello" in _text(engine, found.ids)


def test_a_shortened_conversation_becomes_the_ids_that_an_answer_leaves_room_for(engine: TextEngineRunner) -> None:
    """Of a conversation that loses its oldest turns, the ids are those of the prompt of an answer without a limit."""
    whole = ChatPrompt(tuple(text_message("user", f"{at} " + "x" * 50) for at in range(6)), drops_oldest=True)
    found = result_of(engine, TokenRequest((whole,)))
    assert isinstance(found, TokenizeResult)
    answered = engine.ask(TextRequest((whole,), stopping=StoppingCriteria(default_tokens=64))).admitted
    assert answered is not None
    assert answered.changes
    assert answered.prompt_tokens == len(found.ids)


def _text(engine: TextEngineRunner, ids: tuple[int, ...]) -> str:
    found = result_of(engine, TokenRequest((TokenPrompt(ids),)))
    assert isinstance(found, TokenizeResult)
    return found.text


def test_ids_become_their_text(engine: TextEngineRunner) -> None:
    """Ids give their text, control tokens by name; under an OpenAI encoding they are decoded with that."""
    assert _text(engine, (104, 105)) == "hi"
    assert _text(engine, (104, END)).startswith("h<")
    encoded = result_of(engine, TokenRequest((TokenPrompt((15339, 100257)),), encoding="cl100k_base"))
    assert encoded == TokenizeResult(text="hello<|endoftext|>")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (TokenRequest((TokenPrompt((5000,)),)), "tokens"),
        (TokenRequest((TokenPrompt((97,) * (MAX_TEXT_BYTES + 1)),)), "tokens"),
        (TokenRequest((TextPrompt("a" * (MAX_IDS + 1)),)), "prompt"),
        (TokenRequest((TextPrompt("a"),), encoding="cl100k_base"), "model"),
        (TokenRequest((ChatPrompt((text_message("user", "a" * 400),)),)), "messages"),
    ],
)
def test_invalid_requests_name_the_field(engine: TextEngineRunner, request_: TokenRequest, param: str) -> None:
    """Unknown ids, too much text, too many ids, an alias with another encoding and a long conversation are named."""
    failed = result_of(engine, request_)
    assert isinstance(failed, Failed)
    assert failed.fault.param == param


def test_the_tokenizer_is_described(engine: TextEngineRunner) -> None:
    """It has the size of the vocabulary, the control tokens by name and the chat template."""
    found = result_of(engine, TokenRequest())
    assert isinstance(found, TokenizeResult)
    assert found.facts is not None
    assert found.facts.vocabulary == 263
    assert found.facts.adds_start
    assert found.facts.eos is not None
    again = result_of(engine, TokenRequest((TextPrompt(found.facts.eos),), adds_start=False))
    assert isinstance(again, TokenizeResult)
    assert len(again.ids) == 1
    assert "messages" in (found.facts.chat_template or "")
