"""The list of models, under their own names and OpenAI's."""

from pathlib import Path

import msgspec
import pytest
from starlette.types import ASGIApp

from homeport.api.application import build_application
from homeport.domain.content import Attachment
from homeport.domain.models import Adapter, Alias, EngineStats
from homeport.domain.text import TextRequest
from tests.api.asgi import call
from tests.api.fakes import FakeRegistry, FakeServing, installed, loaded, services, tuned

TUNED = "ft:tiny:homeport:mine:1"


def application(serving: FakeServing | None = None) -> ASGIApp:
    return build_application(services(serving))


def tuned_house(serving: FakeServing | None = None) -> ASGIApp:
    """A registry with a fine-tuned model, and a name for it."""
    registry = FakeRegistry([installed("tiny"), tuned(TUNED, "tiny")], [Alias("mine", TUNED)])
    return build_application(services(serving, registry=registry))


async def test_names_are_listed_before_aliases() -> None:
    """Every installed model is listed, then every alias, each once."""
    response = await call(application(), "GET", "/v1/models")
    assert response.status == 200
    assert response.json["object"] == "list"
    assert [entry["id"] for entry in response.json["data"]] == [
        "tiny",
        "org/other",
        "gpt-3.5-turbo",
        "text-davinci-003",
    ]


@pytest.mark.parametrize(
    ("wanted", "listed"), [("all", ["tiny", "gpt-4", "davinci"]), ("common", ["tiny", "gpt-4"]), ("none", ["tiny"])]
)
async def test_a_setting_selects_the_listed_aliases(wanted: str, listed: list[str]) -> None:
    """All aliases, the common ones or none follow the models, in both lists; each can be used in any case."""
    registry = FakeRegistry([installed("tiny")], [Alias("gpt-4", "tiny"), Alias("davinci", "tiny", is_common=False)])
    app = build_application(services(registry=registry, list_aliases=wanted))
    for path in ("/v1/models", "/v1/engines"):
        assert [entry["id"] for entry in (await call(app, "GET", path)).json["data"]] == listed
    response = (await call(app, "GET", "/v1/models/davinci")).json
    assert (response["id"], response["root"]) == ("davinci", "tiny")


async def test_an_entry_has_the_fields_of_2023_and_more() -> None:
    """An alias is described with all fields of 2023, its model, and what clients want to know."""
    entry = (await call(application(), "GET", "/v1/models/gpt-3.5-turbo")).json
    (permission,) = entry.pop("permission")
    assert entry == {
        "id": "gpt-3.5-turbo",
        "object": "model",
        "created": 1_700_000_000,
        "owned_by": "homeport",
        "root": "tiny",
        "parent": None,
        "context_window": 2048,
        "max_model_len": 2048,
        "modalities": ["text"],
        "capabilities": ["chat", "completions", "edits"],
        "licence": "apache-2.0",
        "size_bytes": 0,
        "layout": "original",
        "loaded": False,
    }
    assert permission["object"] == "model_permission"
    assert permission["allow_sampling"] is True
    assert permission["allow_fine_tuning"] is False


async def test_a_loaded_model_has_its_kernels_and_device() -> None:
    """Once loaded, a model has its actual window, kernels and device."""
    serving = FakeServing()
    serving.running["tiny"] = (loaded("tiny"), EngineStats())
    entry = (await call(application(serving), "GET", "/v1/models/tiny")).json
    assert entry["loaded"] is True
    assert (entry["context_window"], entry["max_model_len"]) == (1024, 1024)
    assert (entry["kernels"], entry["device"], entry["notes"]) == ("fake kernels", "cpu", [])
    assert not entry.keys() & {"tools", "reasoning", "device_bytes"}


async def test_a_model_on_a_gpu_has_the_gpu_and_its_memory_there() -> None:
    """The device is named as llama.cpp names it, with the layers there and the bytes."""
    serving = FakeServing()
    device = "CUDA0: NVIDIA H200, 20 of 31 layers"
    report = msgspec.structs.replace(loaded("tiny"), device=device, device_bytes=700_000_000)
    serving.running["tiny"] = (report, EngineStats(device_bytes=800_000_000))
    entry = (await call(application(serving), "GET", "/v1/models/tiny")).json
    assert (entry["device"], entry["device_bytes"]) == (device, 700_000_000)


async def test_a_loaded_model_that_chats_has_its_tool_family_and_reasoning_switch() -> None:
    """Both are reported in the words of the catalogue."""
    serving = FakeServing()
    report = msgspec.structs.replace(loaded("tiny"), tools="qwen", reasoning="enable_thinking")
    serving.running["tiny"] = (report, EngineStats())
    entry = (await call(application(serving), "GET", "/v1/models/tiny")).json
    assert (entry["tools"], entry["reasoning"]) == ("qwen", "enable_thinking")


async def test_an_id_may_hold_slashes() -> None:
    """A model named after its repository is found under its full name."""
    assert (await call(application(), "GET", "/v1/models/org/other")).json["id"] == "org/other"


async def test_an_unknown_model_is_missing() -> None:
    """An unknown name is a 404 `model_not_found`, which lists the known names."""
    response = await call(application(), "GET", "/v1/models/tinny")
    assert (response.status, response.error["code"], response.error["param"]) == (404, "model_not_found", "model")
    assert "`tinny` does not exist" in response.error["message"]
    assert "tiny" in response.error["message"]


async def test_an_installed_model_cannot_be_deleted() -> None:
    """Only fine-tuned models can be deleted: any other is a 403 that says how to remove it, an unknown one a 404."""
    response = await call(application(), "DELETE", "/v1/models/gpt-3.5-turbo")
    assert response.status == 403
    assert response.error["message"].startswith("You have insufficient permissions for this operation")
    assert "homeport rm tiny" in response.error["message"]
    assert (await call(application(), "DELETE", "/v1/models/tinny")).status == 404


async def test_a_fine_tuned_model_names_what_it_adapts() -> None:
    """Its root and parent are the base model, and it is loaded when that one is."""
    serving = FakeServing()
    serving.running["tiny"] = (loaded("tiny"), EngineStats())
    entry = (await call(tuned_house(serving), "GET", f"/v1/models/{TUNED}")).json
    assert (entry["id"], entry["root"], entry["parent"], entry["loaded"]) == (TUNED, "tiny", "tiny", True)


async def test_a_fine_tuned_model_is_deleted_under_its_own_name() -> None:
    """Deleting it by another name is refused; by its own name it is deleted, and the base model stays."""
    app = tuned_house()
    assert (await call(app, "DELETE", "/v1/models/mine")).status == 403
    response = await call(app, "DELETE", f"/v1/models/{TUNED}")
    assert response.json == {"id": TUNED, "object": "model", "deleted": True}
    assert (await call(app, "GET", f"/v1/models/{TUNED}")).status == 404
    assert (await call(app, "GET", "/v1/models/tiny")).status == 200


async def test_a_request_of_a_fine_tuned_model_goes_to_what_it_adapts() -> None:
    """Its base model receives the request with the adapter; the answer has the fine-tuned model's name."""
    serving = FakeServing()
    body = msgspec.json.encode({"model": TUNED, "prompt": "Hi"})
    response = await call(tuned_house(serving), "POST", "/v1/completions", body)
    assert (response.status, response.json["model"], response.headers["x-homeport-model"]) == (200, TUNED, TUNED)
    ((model, request),) = serving.requests
    assert model.facts.name == "tiny"
    assert isinstance(request, TextRequest)
    assert request.adapter == Adapter(TUNED, Attachment(Path("nowhere.lora")), f"sha256:{TUNED}")
