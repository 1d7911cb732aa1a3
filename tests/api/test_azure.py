"""Requests of Azure's clients."""

import msgspec
import pytest
from starlette.types import ASGIApp

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.models import Alias
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, installed, services
from tests.api.form_bodies import HEADERS, form

KEY = "sk-a-long-enough-key"
CHAT = {"messages": [{"role": "user", "content": "Hi"}]}


def application(access: AccessPolicy | None = None) -> ASGIApp:
    registry = FakeRegistry(
        [installed("tiny"), installed("org/other", ("chat", "embeddings")), installed("ear", ("transcriptions",))],
        [Alias("gpt-35-turbo", "tiny")],
    )
    return build_application(services(FakeServing(), registry=registry, **({"access": access} if access else {})))


async def ask(path: str, body: object, app: ASGIApp | None = None, **headers: str) -> AsgiResponse:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await call(app or application(), "POST", path, msgspec.json.encode(body), given)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/gpt-35-turbo/chat/completions", "tiny"),
        ("/openai/deployments/tiny/chat/completions", "tiny"),
        ("/openai/deployments/org/other/chat/completions", "org/other"),
        ("/openai/v1/deployments/tiny/chat/completions", "tiny"),  # AzureOpenAI(base_url=".../openai/v1")
    ],
)
async def test_a_deployment_is_the_model(path: str, model: str) -> None:
    """The path names the model, with slashes or not, and overrides the body's."""
    for body in (CHAT, {**CHAT, "model": "gpt-4o"}):
        response = await ask(path, body)
        assert (response.status, response.headers["x-homeport-model"]) == (200, model)


async def test_deployments_work_for_every_kind_of_endpoint() -> None:
    """Completions in JSON and transcriptions in a form use the deployment too."""
    response = await ask("/openai/deployments/tiny/completions", {"prompt": "Hi"})
    assert (response.status, response.json["model"]) == (200, "tiny")
    path = "/openai/deployments/tiny/audio/transcriptions"
    response = await call(application(), "POST", path, form([("language", "en")], [("file", b"RIFF")]), HEADERS)
    assert response.error["message"] == "The model `tiny` cannot do transcriptions."


@pytest.mark.parametrize("path", ["/openai/models", "/openai/v1/models", "/v1/models"])
@pytest.mark.parametrize("query", ["", "?api-version=2024-02-01", "?api-version=preview"])
async def test_other_paths_lie_below_openai(path: str, query: str) -> None:
    """Other paths are found below /openai and /openai/v1, with any version."""
    response = await call(application(), "GET", path + query)
    assert [model["id"] for model in response.json["data"]] == ["tiny", "org/other", "ear", "gpt-35-turbo"]


async def test_a_version_is_no_field_of_a_query() -> None:
    """A list that refuses unknown parameters accepts a version, and still refuses others."""
    access = AccessPolicy.from_keys(admin_keys=(KEY,))
    for query, status in (
        ("?api-version=1&since=0", 503),
        ("?since=0&api-version=1", 503),
        ("?api-versions=1", 400),
        ("?my-api-version=1", 400),
    ):
        response = await call(
            application(access), "GET", f"/admin/v1/usage{query}", headers={"authorization": f"Bearer {KEY}"}
        )
        assert response.status == status


async def test_the_api_key_header_is_accepted() -> None:
    """`api-key` gives the same access as a bearer key; if both are sent, the bearer key is used."""
    app = application(AccessPolicy.from_keys((KEY,)))
    path = "/openai/deployments/tiny/chat/completions"
    assert (await ask(path, CHAT, app, api_key=KEY)).status == 200
    assert (await ask(path, CHAT, app, authorization=f"Bearer {KEY}", api_key="x")).status == 200
    assert (await ask(path, CHAT, app, api_key="sk-wrong-key-of-mine")).status == 401
    assert (await ask(path, CHAT, app, authorization="Bearer wrong", api_key=KEY)).status == 401
    assert (await ask(path, CHAT, app)).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/tiny/admin/v1/keys",
        "/openai/admin/v1/keys",
        "/openai/deployments/tiny/x",
        "/openai/",
        "/openai",
        "/openai/deployments//chat/completions",
        "/openai/v1/v1/chat/completions",
    ],
)
async def test_nothing_else_is_reached(path: str) -> None:
    """Other paths below /openai are a 404, and none leads to /admin."""
    response = await ask(
        path, CHAT, application(AccessPolicy.from_keys(admin_keys=(KEY,))), authorization=f"Bearer {KEY}"
    )
    assert (response.status, response.error["code"]) == (404, "unknown_url")


@pytest.mark.parametrize("path", ["/openai/responses?api-version=2025-03-01-preview", "/openai/v1/responses"])
async def test_responses_name_their_model_in_the_body(path: str) -> None:
    """Responses have no deployment in the path; those of Azure's clients are answered like OpenAI's."""
    response = await ask(path, {"model": "gpt-35-turbo", "input": "Hi", "store": False})
    assert (response.status, response.headers["x-homeport-model"]) == (200, "tiny")
    assert response.json["object"] == "response"
