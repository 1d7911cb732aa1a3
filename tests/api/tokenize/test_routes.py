"""Tokenising over HTTP: vLLM's shapes, whose model is meant, and what is refused."""

import json
from typing import Any

import pytest

from homeport.api.access import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.events import Admitted, Done, Tokenised, TokenizerFacts, Usage
from homeport.domain.models import EngineStats
from homeport.domain.text import ChatPrompt, Message, TextPrompt, TokenPrompt, TokenRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, loaded, services

FACTS = TokenizerFacts(100, True, "<s>", "</s>", None, None, "{{ messages }}")


def script(request: EngineRequest) -> Script:
    """Answer as a text engine would."""
    assert isinstance(request, TokenRequest)
    found = Tokenised((1, 2), ("a", "b") * request.names, "ab") if request.prompts else Tokenised(facts=FACTS)
    return [[Admitted(0)], [found], [Done(Usage())]]


@pytest.fixture
def serving() -> FakeServing:
    """A loaded model."""
    made = FakeServing(script)
    made.running["tiny"] = (loaded("tiny"), EngineStats())
    return made


async def ask(serving: FakeServing, method: str, path: str, body: Any = None, **changes: Any) -> AsgiResponse:
    """Send one request."""
    sent = b"" if body is None else json.dumps(body).encode()
    return await call(build_application(services(serving, **changes)), method, path, sent)


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        ({"prompt": "hi", "add_special_tokens": False}, TokenRequest((TextPrompt("hi"),), adds_start=False)),
        ({"prompt": "", "model": "tiny"}, TokenRequest((TextPrompt(""),))),
        ({"prompt": "hi", "return_token_strs": True}, TokenRequest((TextPrompt("hi"),), names=True)),
        (
            {"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": True, "tools": []},
            TokenRequest((ChatPrompt((Message("user", "hi"),)),)),
        ),
    ],
)
async def test_texts_and_chats_are_tokenised(serving: FakeServing, body: dict[str, Any], meant: TokenRequest) -> None:
    """The answer counts the ids, lists them, and tells the window; without a name the first text model is meant."""
    said = await ask(serving, "POST", "/tokenize", body)
    names = ["a", "b"] if meant.names else None
    assert said.json == {"count": 2, "max_model_len": 1024, "tokens": [1, 2], "token_strs": names}
    assert said.headers["x-homeport-model"] == "tiny"
    assert [request for _, request in serving.requests] == [meant]


async def test_ids_are_detokenised(serving: FakeServing) -> None:
    """The text of ids; under an OpenAI name they are that name's."""
    assert (await ask(serving, "POST", "/detokenize", {"tokens": [1, 2]})).json == {"prompt": "ab"}
    await ask(serving, "POST", "/detokenize", {"tokens": [], "model": "gpt-3.5-turbo"})
    requests = [request for _, request in serving.requests]
    assert requests == [TokenRequest((TokenPrompt((1, 2)),)), TokenRequest((TokenPrompt(()),), encoding="cl100k_base")]


async def test_a_tokeniser_is_described(serving: FakeServing) -> None:
    """Its control tokens, its template and its window, under the names of the files that models come with."""
    told = (await ask(serving, "GET", "/tokenizer_info")).json
    assert (told["bos_token"], told["eos_token"], told["pad_token"]) == ("<s>", "</s>", None)
    assert (told["model_max_length"], told["vocab_size"], told["chat_template"]) == (1024, 100, "{{ messages }}")


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("/tokenize", {}, "prompt"),
    ("/tokenize", {"prompt": "a", "messages": []}, "prompt"),
    ("/tokenize", {"messages": []}, "messages"),
    ("/tokenize", {"prompt": "a" * 1_000_001}, "prompt"),
    ("/tokenize", {"messages": [{"role": "user", "content": "a"}], "add_generation_prompt": False}, "add_gen"),
    ("/tokenize", {"prompt": "a", "chat_template": "x"}, "chat_template"),
    ("/tokenize", {"prompt": ["a"]}, "prompt"),
    ("/detokenize", {}, "tokens"),
    ("/detokenize", {"tokens": [1, -1]}, "tokens[1]"),
    ("/detokenize", {"tokens": [2**40]}, "tokens[0]"),
    ("/detokenize", {"tokens": "a"}, "tokens"),
]


@pytest.mark.parametrize(("path", "body", "param"), WRONG)
async def test_what_is_wrong_is_named(serving: FakeServing, path: str, body: dict[str, Any], param: str) -> None:
    """Bodies that ask for nothing, for too much or for what is not here are a 400 that names the field."""
    said = await ask(serving, "POST", path, body)
    assert said.status == 400
    assert said.error["param"].startswith(param)


async def test_tokens_are_told_to_callers_alone(serving: FakeServing) -> None:
    """The same keys open these paths as all others, and without a text model there is nothing to ask."""
    keyed = AccessPolicy.from_keys(("a-key-for-these-tests",))
    for method, path in (("POST", "/tokenize"), ("POST", "/detokenize"), ("GET", "/tokenizer_info")):
        assert (await ask(serving, method, path, {"prompt": "a"}, access=keyed)).status == 401
    missing = await ask(serving, "GET", "/tokenizer_info", registry=FakeRegistry([installed("voice", ("speech",))]))
    assert missing.status == 404
    assert (await ask(serving, "POST", "/tokenize", {"prompt": "a", "model": "nobody"})).status == 404
