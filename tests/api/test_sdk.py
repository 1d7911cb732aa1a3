"""The official client against a real server: which exception each refusal becomes, over real sockets."""

import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import openai
import pydantic
import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.services import Limits
from homeport.domain.errors import (
    ContextOverflow,
    EngineFailed,
    Forbidden,
    HomeportError,
    Overloaded,
    QuotaExceeded,
    Unavailable,
)
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    ReasoningDelta,
    ToolCallDelta,
    Usage,
)
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.tools import JsonFormat
from homeport.domain.worker_messages import EngineRequest
from tests.api.fakes import FakeServing, Script, answer, services
from tests.api.live_server import served

KEY = "sk-a-key-for-these-tests"
ASK: dict[str, Any] = {"model": "tiny", "prompt": "Hello"}


@pytest.fixture(scope="module")
def serving() -> FakeServing:
    """The fake serving of this module's server."""
    return FakeServing()


@pytest.fixture(scope="module")
def address(serving: FakeServing) -> Iterator[str]:
    """A server with one key, on fakes."""
    application = services(serving, access=AccessPolicy.from_keys((KEY,)), limits=Limits(body_bytes=1_000_000))
    with served(build_application(application)) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[openai.OpenAI]:
    """The official client with the right key, which does not retry."""
    with openai.OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0, timeout=30) as made:
        yield made


def test_azures_client_is_served(address: str) -> None:
    """The official client for Azure chats, streams, completes and lists, by deployment or by model."""
    made: dict[str, Any] = {
        "azure_endpoint": address,
        "api_key": KEY,
        "api_version": "2024-10-21",
        "max_retries": 0,
        "timeout": 30,
    }
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
    with openai.AzureOpenAI(**made) as azure:
        assert azure.chat.completions.create(model="gpt-3.5-turbo", **asked).choices[0].message.content == "Hello there"
        assert azure.completions.create(model="org/other", prompt="Hi").choices[0].text == "Hello there"
        chunks = list(azure.chat.completions.create(model="tiny", stream=True, **asked))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello there"
        assert [model.id for model in azure.models.list()][:2] == ["tiny", "org/other"]
    with openai.AzureOpenAI(**made, azure_deployment="tiny") as azure:
        assert azure.chat.completions.create(model="whatever", **asked).model == "tiny"
    with pytest.raises(openai.AuthenticationError), openai.AzureOpenAI(**{**made, "api_key": "wrong"}) as azure:
        azure.chat.completions.create(model="tiny", **asked)


def test_models_are_listed_and_retrieved(client: openai.OpenAI) -> None:
    """The client's own types read the list, one model, and one whose name has a slash."""
    assert [model.id for model in client.models.list()][:2] == ["tiny", "org/other"]
    assert client.models.retrieve("gpt-3.5-turbo").owned_by == "homeport"
    assert client.models.retrieve("org/other").id == "org/other"


def test_a_completion_passes_all_layers(client: openai.OpenAI) -> None:
    """The headers of an answer have the model's own name and the request id."""
    response = client.completions.with_raw_response.create(model="text-davinci-003", prompt="Hello")
    assert response.headers["x-homeport-model"] == "tiny"
    parsed = response.parse()
    assert parsed.model == "text-davinci-003"
    assert parsed._request_id == response.headers["x-request-id"]


def test_an_answer_can_be_sent_back(client: openai.OpenAI, serving: FakeServing) -> None:
    """A chat accepts an earlier answer with every field that the client serializes."""
    turns: list[Any] = [{"role": "user", "content": "Hello"}]
    for dump in ("model_dump", "to_dict"):
        message = client.chat.completions.create(model="tiny", messages=turns).choices[0].message
        turns += [getattr(message, dump)(), {"role": "user", "content": "And?"}]
    assert client.chat.completions.create(model="tiny", messages=turns).choices[0].message.content == "Hello there"
    parsed = client.chat.completions.parse(model="tiny", messages=turns).choices[0].message
    turns += [parsed.model_dump(), {"role": "user", "content": "And?"}]
    assert client.chat.completions.create(model="tiny", messages=turns).choices[0].finish_reason == "stop"


class GetTime(pydantic.BaseModel):
    """The time in a zone."""

    zone: str


def _calling(_: EngineRequest) -> Script:
    """Answer with a thought and two calls of one tool."""
    deltas: list[Event] = [ReasoningDelta(0, "Hm."), ReasoningDelta(0, " Two.")]
    for index, zone in enumerate(("UTC", "CET")):
        deltas += [
            ToolCallDelta(0, index, f"call_{index}", "GetTime", ""),
            ToolCallDelta(0, index, "", "", '{"zone": '),
        ]
        deltas.append(ToolCallDelta(0, index, "", "", f'"{zone}"}}'))
    return [[Admitted(5, (10,))], *([each] for each in deltas), [ChoiceFinished(0, "tool_calls"), Done(Usage(5, 9))]]


def test_calls_are_parsed_streamed_and_sent_back(client: openai.OpenAI, serving: FakeServing) -> None:
    """The client's helpers read calls, whole and streamed, and its messages are accepted with their results."""
    plain = serving.script
    serving.script = _calling
    turns: list[Any] = [{"role": "user", "content": "What time is it?"}]
    tools = [openai.pydantic_function_tool(GetTime)]
    parsed = client.chat.completions.parse(model="tiny", messages=turns, tools=tools).choices[0].message
    with client.chat.completions.stream(model="tiny", messages=turns, tools=tools) as stream:
        done = [event.parsed_arguments for event in stream if event.type == "tool_calls.function.arguments.done"]
        streamed = stream.get_final_completion().choices[0].message
    serving.script = plain
    zones = [GetTime(zone="UTC"), GetTime(zone="CET")]
    assert done == zones
    for message in (parsed, streamed):
        assert [call.function.parsed_arguments for call in message.tool_calls or ()] == zones
        assert message.model_extra == {"reasoning_content": "Hm. Two.", "reasoning": "Hm. Two."}
        turns.append(message.model_dump())
        turns += [{"role": "tool", "tool_call_id": f"call_{at}", "content": "12:00"} for at in range(2)]
    answered = client.chat.completions.create(model="tiny", messages=turns, tools=tools)
    assert answered.choices[0].message.content == "Hello there"
    _, request = serving.requests[-1]
    assert isinstance(request, TextRequest)
    (prompt,) = request.prompts
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages[1] == prompt.messages[4]


def test_a_schema_is_parsed(client: openai.OpenAI, serving: FakeServing) -> None:
    """The client's helper sends a model as a schema, and reads the answer as this model."""
    plain = serving.script
    serving.script = lambda _: answer('{"zone":"UTC"}')
    turns: list[Any] = [{"role": "user", "content": "Where?"}]
    parsed = client.chat.completions.parse(model="tiny", messages=turns, response_format=GetTime)
    serving.script = plain
    assert parsed.choices[0].message.parsed == GetTime(zone="UTC")
    _, request = serving.requests[-1]
    assert isinstance(request, TextRequest)
    assert isinstance(request.output_format, JsonFormat)
    assert '"zone"' in (request.output_format.schema or "")


def test_a_wrong_key_is_an_authentication_error(address: str) -> None:
    """A wrong key raises AuthenticationError with OpenAI's code."""
    with (
        openai.OpenAI(base_url=f"{address}/v1", api_key="sk-wrong-and-long", max_retries=2) as client,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        client.models.list()
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    """An unknown model raises NotFoundError with OpenAI's code and param."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="nobody", prompt="Hello")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_an_unknown_field_is_a_bad_request(client: openai.OpenAI) -> None:
    """An unknown field raises BadRequestError that names it."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(**ASK, extra_body={"foo": 1})
    assert caught.value.param == "foo"
    assert "Unrecognized request argument supplied: foo" in caught.value.message


RAISED: list[tuple[HomeportError, type[openai.APIStatusError], int]] = [
    (ContextOverflow("Too long."), openai.BadRequestError, 400),
    (Forbidden("No."), openai.PermissionDeniedError, 403),
    (Overloaded("Full."), openai.RateLimitError, 429),
    (QuotaExceeded("Spent."), openai.RateLimitError, 429),
    (EngineFailed("Broke."), openai.InternalServerError, 500),
    (Unavailable("Draining."), openai.InternalServerError, 503),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("error", "kind", "status"), RAISED, ids=lambda value: getattr(value, "__name__", None))
def test_each_error_has_its_exception(
    client: openai.OpenAI,
    serving: FakeServing,
    error: HomeportError,
    kind: type[openai.APIStatusError],
    status: int,
    streamed: bool,
) -> None:
    """A refusal before the first byte raises the documented class, streamed or not."""
    serving.refusal = error
    try:
        with pytest.raises(kind) as caught:
            client.completions.create(**ASK, stream=streamed)
    finally:
        serving.refusal = None
    assert (caught.value.status_code, caught.value.code) == (status, error.code)
    assert error.message in caught.value.message


@pytest.mark.parametrize(
    ("error", "attempts"), [(QuotaExceeded("Spent."), 1), (Overloaded("Full.", retry_after_s=1), 2)]
)
def test_clients_retry_only_what_can_succeed(address: str, error: HomeportError, attempts: int) -> None:
    """The client retries only requests for which a retry can succeed, and waits as long as `Retry-After` says."""
    asked = 0

    def script(_: EngineRequest) -> Script:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise error
        return answer("at last")

    with (
        served(build_application(services(FakeServing(script)))) as other,
        openai.OpenAI(base_url=f"{other}/v1", api_key="any", max_retries=1) as client,
    ):
        if attempts == 1:
            with pytest.raises(openai.RateLimitError):
                client.completions.create(**ASK)
        else:
            assert client.completions.create(**ASK).choices[0].text == "at last"
    assert asked == attempts


def _raw(address: str, method: str, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    given = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    try:
        link.request(method, path, body, given | {name.replace("_", "-"): value for name, value in headers.items()})
        answer = link.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        link.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/v1/completions", b"{", {}, 400),
        ("POST", "/v1/completions", b"", {}, 400),
        ("POST", "/v1/completions", b"{}", {}, 400),
        ("POST", "/v1/completions", b"{}", {"content_type": "text/plain"}, 415),
        ("POST", "/v1/completions", b'{"prompt":"' + b"a" * 30_000_000 + b'"}', {}, 413),
        ("GET", "/v1/completions", b"", {}, 405),
        ("GET", "/v1/nowhere", b"", {}, 404),
        ("GET", "/v1/models/", b"", {}, 404),
        ("GET", "/v1/models", b"", {"authorization": "Bearer nobody"}, 401),
        ("GET", "/v1/engines/tiny/completions", b"", {}, 405),
        ("GET", "/v1/models/%00%ff%2F..", b"", {}, 404),
    ],
)
def test_every_refusal_is_complete_over_a_socket(
    address: str, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    """Over a real socket each refusal has the envelope, OpenAI's headers and `x-should-retry: false`."""
    got, response, document = _raw(address, method, path, body, **headers)
    assert got == status
    assert set(json.loads(document)["error"]) == {"message", "type", "param", "code"}
    assert response["content-type"] == "application/json"
    assert response["x-request-id"].startswith("req_")
    assert response["openai-version"] == "2020-10-01"
    assert response["openai-organization"] == "homeport"
    assert int(response["openai-processing-ms"]) >= 0
    assert response["x-should-retry"] == "false"


def test_head_has_no_body(address: str) -> None:
    """HEAD has the headers of GET and no body."""
    status, response, document = _raw(address, "HEAD", "/v1/models", b"")
    assert (status, document) == (200, b"")
    assert int(response["content-length"]) > 0


def test_headers_of_2023s_client_are_accepted(address: str) -> None:
    """The old client's own headers change nothing."""
    given = {"openai_organization": "org-x", "x_openai_client_user_agent": "{}", "user_agent": "OpenAI/v1"}
    assert _raw(address, "GET", "/v1/models", b"", **given)[0] == 200


def test_malformed_requests_do_not_disturb_a_stream(client: openai.OpenAI, address: str) -> None:
    """During many malformed requests a valid stream arrives complete and in order."""
    refusals: list[int] = []

    def flood() -> None:
        refusals.extend(_raw(address, "POST", "/v1/completions", b'{"n":' * n)[0] for n in range(60))

    noise = threading.Thread(target=flood)
    noise.start()
    texts = []
    for _ in range(10):
        stream = client.completions.create(**ASK, stream=True)
        texts.append("".join(chunk.choices[0].text for chunk in stream if chunk.choices))
    noise.join()
    assert set(refusals) == {400}
    assert texts == ["Hello there"] * 10
