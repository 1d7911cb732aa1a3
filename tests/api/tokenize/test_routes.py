"""Tokenizing over HTTP: vLLM's format, the default model, and refusals."""

import json
from typing import Any

import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.content import text_message
from homeport.domain.events import Admitted, Done, TokenizeResult, TokenizerFacts, Usage
from homeport.domain.models import EngineStats
from homeport.domain.text import ChatPrompt, TextPrompt, TokenPrompt, TokenRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, loaded, services

FACTS = TokenizerFacts(100, True, "<s>", "</s>", None, None, "{{ messages }}")


def script(request: EngineRequest) -> Script:
    """Answer like a text engine."""
    assert isinstance(request, TokenRequest)
    result = (
        TokenizeResult((1, 2), ("a", "b") * request.names, "ab") if request.prompts else TokenizeResult(facts=FACTS)
    )
    return [[Admitted(0)], [result], [Done(Usage())]]


@pytest.fixture
def serving() -> FakeServing:
    """Serve a loaded model."""
    serving = FakeServing(script)
    serving.running["tiny"] = (loaded("tiny"), EngineStats())
    return serving


async def ask(serving: FakeServing, method: str, path: str, body: Any = None, **changes: Any) -> AsgiResponse:
    """Send one request."""
    sent = b"" if body is None else json.dumps(body).encode()
    return await call(build_application(services(serving, **changes)), method, path, sent)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"prompt": "hi", "add_special_tokens": False}, TokenRequest((TextPrompt("hi"),), adds_start=False)),
        ({"prompt": "", "model": "tiny"}, TokenRequest((TextPrompt(""),))),
        ({"prompt": "hi", "return_token_strs": True}, TokenRequest((TextPrompt("hi"),), names=True)),
        (
            {"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": True, "tools": []},
            TokenRequest((ChatPrompt((text_message("user", "hi"),)),)),
        ),
    ],
)
async def test_texts_and_chats_are_tokenized(
    serving: FakeServing, body: dict[str, Any], expected: TokenRequest
) -> None:
    """The answer counts and lists the ids and reports the window; without a name it uses the first text model."""
    response = await ask(serving, "POST", "/tokenize", body)
    names = ["a", "b"] if expected.names else None
    assert response.json == {"count": 2, "max_model_len": 1024, "tokens": [1, 2], "token_strs": names}
    assert response.headers["x-homeport-model"] == "tiny"
    assert [request for _, request in serving.requests] == [expected]


async def test_ids_are_detokenized(serving: FakeServing) -> None:
    """Ids become text; under an OpenAI name they are that name's ids."""
    assert (await ask(serving, "POST", "/detokenize", {"tokens": [1, 2]})).json == {"prompt": "ab"}
    await ask(serving, "POST", "/detokenize", {"tokens": [], "model": "gpt-3.5-turbo"})
    requests = [request for _, request in serving.requests]
    assert requests == [TokenRequest((TokenPrompt((1, 2)),)), TokenRequest((TokenPrompt(()),), encoding="cl100k_base")]


async def test_a_tokeniser_is_described(serving: FakeServing) -> None:
    """The answer has control tokens, template and window, under the names of models' own configuration files."""
    facts = (await ask(serving, "GET", "/tokenizer_info")).json
    assert (facts["bos_token"], facts["eos_token"], facts["pad_token"]) == ("<s>", "</s>", None)
    assert (facts["model_max_length"], facts["vocab_size"], facts["chat_template"]) == (1024, 100, "{{ messages }}")


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
    """Bodies without a prompt, over a limit or with an unsupported feature are a 400 that names the field."""
    response = await ask(serving, "POST", path, body)
    assert response.status == 400
    assert response.error["param"].startswith(param)


async def test_tokenizer_endpoints_require_a_key(serving: FakeServing) -> None:
    """These paths need the same keys as all others; without a text model the response is an error."""
    keyed = AccessPolicy.from_keys(("a-key-for-these-tests",))
    for method, path in (("POST", "/tokenize"), ("POST", "/detokenize"), ("GET", "/tokenizer_info")):
        assert (await ask(serving, method, path, {"prompt": "a"}, access=keyed)).status == 401
    missing = await ask(serving, "GET", "/tokenizer_info", registry=FakeRegistry([installed("voice", ("speech",))]))
    assert missing.status == 404
    assert (await ask(serving, "POST", "/tokenize", {"prompt": "a", "model": "nobody"})).status == 404
