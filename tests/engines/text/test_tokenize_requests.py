"""Token ids of texts, texts of token ids, and what a tokeniser is like, from an engine at work."""

from collections.abc import Iterator

import pytest

from homeport.domain.content import text_message
from homeport.domain.events import Admitted, Done, Failed, Tokenised, Usage
from homeport.domain.text import ChatPrompt, StoppingCriteria, TextPrompt, TextRequest, TokenPrompt, TokenRequest
from homeport.engines.text.tokenize_requests import MOST_IDS, MOST_TEXT_BYTES
from tests.engines.text.engine_runner import TextEngineRunner
from tests.engines.text.fake_executor import END, START


@pytest.fixture(scope="module")
def engine() -> Iterator[TextEngineRunner]:
    """The fake executor's engine: its tokens are bytes and a few control tokens."""
    with TextEngineRunner(window=300) as running:
        yield running


def told(engine: TextEngineRunner, request: TokenRequest) -> Tokenised | Failed:
    """The answer to a request, or why there is none."""
    id = engine.open(request)
    events = engine.wait(id, lambda said: bool(said) and isinstance(said[-1], Done | Failed))
    if isinstance(events[-1], Failed):
        return events[-1]
    first, found, last = events
    assert (first, last) == (Admitted(0), Done(Usage()))
    assert isinstance(found, Tokenised)
    return found


def test_a_text_becomes_ids(engine: TextEngineRunner) -> None:
    """With or without a document's start, with each token's text where wanted; control tokens by name."""
    assert told(engine, TokenRequest((TextPrompt("hi"),))) == Tokenised((START, 104, 105))
    plain = TokenRequest((TextPrompt("h<|end|>"),), adds_start=False, names=True)
    found = told(engine, plain)
    assert isinstance(found, Tokenised)
    assert found.names[0] == "h"
    assert found.names[-1]


def test_a_conversation_becomes_what_would_be_answered(engine: TextEngineRunner) -> None:
    """The ids are those that a chat request of the same messages is computed with."""
    chat = ChatPrompt((text_message("user", "hello"),))
    found = told(engine, TokenRequest((chat,)))
    assert isinstance(found, Tokenised)
    answered = engine.ask(TextRequest((chat,), stopping=StoppingCriteria(max_tokens=1))).admitted
    assert answered is not None
    assert answered.prompt_tokens == len(found.ids)
    assert "hello" in _text(engine, found.ids)


def _text(engine: TextEngineRunner, ids: tuple[int, ...]) -> str:
    found = told(engine, TokenRequest((TokenPrompt(ids),)))
    assert isinstance(found, Tokenised)
    return found.text


def test_ids_become_their_text(engine: TextEngineRunner) -> None:
    """The way back gives the text, control tokens by name; under an OpenAI encoding its own ids mean its own text."""
    assert _text(engine, (104, 105)) == "hi"
    assert _text(engine, (104, END)).startswith("h<")
    encoded = told(engine, TokenRequest((TokenPrompt((15339, 100257)),), encoding="cl100k_base"))
    assert encoded == Tokenised(text="hello<|endoftext|>")


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (TokenRequest((TokenPrompt((5000,)),)), "tokens"),
        (TokenRequest((TokenPrompt((97,) * (MOST_TEXT_BYTES + 1)),)), "tokens"),
        (TokenRequest((TextPrompt("a" * (MOST_IDS + 1)),)), "prompt"),
        (TokenRequest((TextPrompt("a"),), encoding="cl100k_base"), "model"),
        (TokenRequest((ChatPrompt((text_message("user", "a" * 400),)),)), "messages"),
    ],
)
def test_what_cannot_be_told_is_named(engine: TextEngineRunner, request_: TokenRequest, param: str) -> None:
    """Ids that the model lacks, too much text, too many ids, a name that speaks another encoding, a chat too long."""
    failed = told(engine, request_)
    assert isinstance(failed, Failed)
    assert failed.fault.param == param


def test_a_tokeniser_is_described(engine: TextEngineRunner) -> None:
    """The size of its vocabulary, its control tokens by name and the chat template."""
    found = told(engine, TokenRequest())
    assert isinstance(found, Tokenised)
    assert found.facts is not None
    assert found.facts.vocabulary == 263
    assert found.facts.adds_start
    assert found.facts.eos is not None
    again = told(engine, TokenRequest((TextPrompt(found.facts.eos),), adds_start=False))
    assert isinstance(again, Tokenised)
    assert len(again.ids) == 1
    assert "messages" in (found.facts.chat_template or "")
