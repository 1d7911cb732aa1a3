"""What an operator sees and does with models over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette

from homeport.api.access_policy import AccessPolicy
from homeport.api.admin.models.model_jobs import EVENT_INTERVAL_S
from homeport.api.application import build_application
from homeport.app.model_library import SettingsModelLibrary
from homeport.app.models import model_registry, served_store
from homeport.domain.errors import Unavailable
from homeport.domain.model_jobs import TaskEnd
from homeport.domain.models import ModelFacts
from homeport.domain.text import TextRequest
from homeport.domain.weight_layouts import Fidelity, OptimizeResult, Speed, Trial
from homeport.models.manifest import Manifest, StoredFile, StoredLayout
from homeport.settings import Settings
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, services
from tests.serving.model_jobs.fake_processes import Machine

ADMIN, TOOL, KEY = "the-admin-key-of-tests", "a-token-of-this-users-tools", "sk-a-callers-own-key"
ROOT = "/admin/v1/models"
TRIAL = Trial("q8_0", Speed(200, 20, 80), Speed(100, 10, 40), 5, Fidelity(10.0, 10.0, 0.001, 0.99))


def install(settings: Settings, name: str, *, projector: bool = False) -> None:
    """Install a text model of a few bytes, with a measured layout."""
    store = served_store(settings)
    folder = store.folder(name)
    folder.mkdir(parents=True)
    names = {"weights.gguf": "weights", **({"mmproj.gguf": "projector"} if projector else {})}
    for file in (*names, "weights.q8_0.gguf"):
        (folder / file).write_bytes(b"12345")
    files = tuple(StoredFile(file, role, 5, "0" * 64) for file, role in names.items())
    layout = StoredLayout("q8_0", StoredFile("weights.q8_0.gguf", "weights", 5, "1" * 64), TRIAL, "kernels", "cpu")
    facts = ModelFacts(name, "text", "text", 4096, ("chat", "completions"), licence="mit", size_bytes=5)
    store.commit(Manifest(facts, "hf:org/Repo", "abc", files, (layout,), "q8_0"))


class ModelApp:
    """An application on a home of its own, with the models `tiny` and `seeing`, fake serving and fake processes."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings(home=folder, **settings)
        install(self.settings, "tiny")
        install(self.settings, "seeing", projector=True)
        self.serving = FakeServing()
        self.machine = Machine(folder)
        self.jobs = self.machine.jobs()
        self.app: Starlette = build_application(
            services(
                self.serving,
                registry=model_registry(self.settings),
                access=AccessPolicy.from_keys([KEY], admin_keys=[ADMIN], tool_tokens=[TOOL]),
                library=SettingsModelLibrary(self.settings),
                model_jobs=self.jobs,
            )
        )

    async def ask(self, method: str, path: str = "", body: object = None, key: str = ADMIN) -> AsgiResponse:
        """Send a request below `/admin/v1/models`, or to a path of its own that begins with `/v1`."""
        content = b"" if body is None else msgspec.json.encode(body)
        path = path if path.startswith("/v1") else f"{ROOT}{path}"
        return await call(self.app, method, path, content, headers={"authorization": f"Bearer {key}"})

    async def pull(self, reference: str, **options: object) -> AsgiResponse:
        """Start a pull."""
        return await self.ask("POST", "/pulls", {"reference": reference, **options})


@pytest.fixture
async def models(tmp_path: Path) -> AsyncIterator[ModelApp]:
    started = ModelApp(tmp_path)
    yield started
    await started.jobs.shut_down()


async def test_models_are_listed_with_what_is_known_of_them(models: ModelApp) -> None:
    """Installed models come with layouts, speeds, projector and state; the catalogue's with licence and memory fit."""
    body = (await models.ask("GET")).json
    assert body["memory"]["total_bytes"] >= body["memory"]["available_bytes"] > 0
    listed = {model["id"]: model for model in body["data"]}
    seeing = listed["seeing"]
    assert (seeing["installed"], seeing["tested"], seeing["loaded"]) == (True, False, False)
    assert (seeing["layout"], seeing["projector"], seeing["disk_bytes"]) == ("q8_0", "mmproj.gguf", 15)
    [layout] = seeing["layouts"]
    assert (layout["gain"], layout["speed"]["decode_1"], layout["original_speed"]["decode_1"]) == (2.0, 20, 10)
    assert (seeing["source"], seeing["licence"], seeing["fits"]) == ("hf:org/Repo", "mit", None)
    known = listed["qwen3-4b"]
    assert (known["installed"], known["kind"], known["family"]) == (False, "text", "qwen3")
    assert known["memory_bytes"] > known["size_bytes"] > 0
    assert known["fits"] == (known["fitting_window"] > 0)
    assert (await models.ask("GET", "/qwen3-4b")).json["licence"] == known["licence"]
    assert (await models.ask("GET", "/nobody")).error["code"] == "model_not_found"


async def test_models_are_loaded_and_unloaded(models: ModelApp) -> None:
    """A model is loaded and unloaded by name or alias, and the list says so; a load that fails says why."""
    await models.ask("PUT", "/aliases/mine", {"target": "tiny"})
    assert (await models.ask("POST", "/mine/load")).json == {"id": "tiny", "loaded": True, "object": "library.model"}
    assert (await models.ask("GET", "/tiny")).json["loaded"] is True
    assert (await models.ask("POST", "/tiny/unload", {})).json["loaded"] is False
    assert (await models.ask("POST", "/tiny/unload")).error["code"] == "model_not_loaded"
    assert (await models.ask("POST", "/nobody/load")).status == 404
    assert (await models.ask("POST", "/tiny/load", {"x": 1})).error["param"] == "x"
    models.serving.refusal = Unavailable("there is no room for it")
    response = await models.ask("POST", "/tiny/load")
    assert (response.status, response.error["message"]) == (503, "there is no room for it")


async def test_a_model_in_use_is_not_deleted(models: ModelApp) -> None:
    """A model that answers requests is a 409, unless it is forced; then its files are gone and it is unloaded."""
    await models.ask("POST", "/tiny/load")
    tiny = served_store(models.settings).find("tiny")
    assert tiny is not None
    stream = await models.serving.open(tiny, TextRequest(()))
    response = await models.ask("DELETE", "/tiny")
    assert (response.status, response.error["code"]) == (409, "model_in_use")
    deleted = await models.ask("DELETE", "/tiny?force=true")
    assert (deleted.json["deleted"], deleted.json["freed_bytes"]) == (True, 10)
    assert not models.serving.running
    await stream.aclose()
    assert not served_store(models.settings).folder("tiny").exists()
    assert (await models.ask("DELETE", "/tiny")).error["code"] == "model_not_found"
    assert (await models.ask("DELETE", "/seeing")).status == 200


@pytest.mark.parametrize("name", ["..", "../../etc", "%2e%2e", "a/b", "UPPER", "x" * 300])
async def test_a_name_never_leads_out_of_the_store(models: ModelApp, name: str) -> None:
    """A name that is no model's is refused and deletes nothing."""
    assert (await models.ask("DELETE", f"/{name}")).status in (400, 404)
    assert {model.facts.name for model in served_store(models.settings).installed()} == {"tiny", "seeing"}


async def test_a_model_that_a_job_works_on_is_not_deleted(models: ModelApp) -> None:
    """While a model is optimized or pulled, deleting it names the job, and the list does too."""
    job = (await models.ask("POST", "/tiny/optimize", {"layout": "q8_0"})).json
    assert (await models.ask("GET", "/tiny")).json["job"] == job["id"]
    response = await models.ask("DELETE", "/tiny")
    assert response.status == 409
    assert job["id"] in str(response.error["message"])


async def test_a_pull_streams_its_progress(models: ModelApp) -> None:
    """The stream of events begins with the state and ends with the result and `[DONE]`."""
    job = (await models.pull("qwen3-4b", optimize=False)).json
    assert (job["object"], job["status"], job["model"], job["optimize"]) == ("model.pull", "running", "qwen3-4b", False)
    stream = asyncio.create_task(models.ask("GET", f"/pulls/{job['id']}/events"))
    async with asyncio.timeout(10):
        while (now := (await models.ask("GET", f"/pulls/{job['id']}")).json)["done_bytes"] == 0:
            await models.jobs.wait_for_change(models.jobs.version)
    assert (now["done_bytes"], now["total_bytes"]) == (40, 100)
    models.machine.gate("qwen3-4b").set()
    response = await stream
    assert response.headers["content-type"].startswith("text/event-stream")
    *events, done = response.body.decode().strip().split("\n\n")
    states = [msgspec.json.decode(event.removeprefix("data: ")) for event in events]
    assert done == "data: [DONE]"
    assert states[-1]["status"] == "completed"
    assert {state["id"] for state in states} == {job["id"]}
    assert (await models.ask("GET", "/pulls")).json["data"] == [states[-1]]


async def test_events_come_at_most_four_times_a_second(models: ModelApp) -> None:
    """However often a job changes, its stream has at most one event in a quarter of a second."""
    job = (await models.pull("qwen3-4b")).json
    began = time.monotonic()
    stream = asyncio.create_task(models.ask("GET", f"/pulls/{job['id']}/events"))
    for _ in range(100):
        await models.jobs.pause("pull", job["id"])
        await models.jobs.resume("pull", job["id"])
    await models.jobs.cancel("pull", job["id"])
    n_events = (await stream).body.count(b"data: {")
    assert 2 <= n_events <= 2 + (time.monotonic() - began) / EVENT_INTERVAL_S


async def test_a_pull_is_paused_resumed_cancelled_and_forgotten(models: ModelApp) -> None:
    """Each action answers with the new state, and one that is impossible says in which state the pull is."""
    job = (await models.pull("hf:org/Repo:Q4_K_M")).json
    path = f"/pulls/{job['id']}"
    for action, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert (await models.ask("POST", f"{path}/{action}")).json["status"] == status
    response = await models.ask("POST", f"{path}/resume")
    assert (response.status, response.error["code"]) == (400, "invalid_job_status")
    assert (await models.ask("DELETE", path)).json == {"id": job["id"], "object": "model.pull", "deleted": True}
    for method, end in (("GET", ""), ("POST", "/pause"), ("GET", "/events"), ("DELETE", "")):
        assert (await models.ask(method, path + end)).error["code"] == "job_not_found"


@pytest.mark.parametrize(
    ("body", "status", "param", "text"),
    [
        ({}, 400, "reference", "Missing"),
        ({"reference": ""}, 400, "reference", "empty"),
        ({"reference": "x" * 600}, 400, "reference", "too long"),
        ({"reference": "hf:"}, 400, "reference", "not a reference"),
        ({"reference": "qwen3"}, 404, "reference", "is a family"),
        ({"reference": "nobody"}, 404, "reference", "catalogue has no"),
        ({"reference": "qwen3-4b", "projector": "a.gguf"}, 400, "reference", "projector"),
        ({"reference": "qwen3-4b", "colour": 1}, 400, "colour", "Unrecognized"),
        ({"reference": "file:/etc/passwd"}, 403, "reference", "this machine's own user"),
    ],
)
async def test_a_bad_reference_is_refused_before_any_job(
    models: ModelApp, body: object, status: int, param: str, text: str
) -> None:
    """What cannot be pulled is refused by name, with the texts of the command line, and makes no job."""
    response = await models.ask("POST", "/pulls", body)
    assert (response.status, response.error["param"]) == (status, param)
    assert text in response.error["message"]
    assert (await models.ask("GET", "/pulls")).json["data"] == []


async def test_files_are_pulled_for_this_machines_user_only(models: ModelApp) -> None:
    """The token of the run file, which only the server's own user can read, may pull a file."""
    response = await models.ask("POST", "/pulls", {"reference": "file:/tmp/a.gguf"}, key=TOOL)
    assert response.status == 200


async def test_offline_refuses_to_pull(tmp_path: Path) -> None:
    """With HOMEPORT_OFFLINE a pull is refused with what to do, unless the model is built in or installed."""
    models = ModelApp(tmp_path, offline=True)
    for reference in ("qwen3-4b", "hf:org/Repo"):
        response = await models.pull(reference)
        assert (response.status, "HOMEPORT_OFFLINE is set" in response.error["message"]) == (503, True)
    assert (await models.pull("homeport-emoji-128")).status == 200
    await models.jobs.shut_down()


async def test_an_optimization_reports_its_measurements(models: ModelApp) -> None:
    """An optimization is a job whose result has the layouts that were measured; an unknown layout is refused."""
    response = await models.ask("POST", "/tiny/optimize", {"layout": "q9"})
    assert (response.status, response.error["param"]) == (400, "layout")
    models.machine.end = TaskEnd("tiny", OptimizeResult("tiny", "q8_0", is_changed=True, trials=(TRIAL,)))
    job = (await models.ask("POST", "/tiny/optimize")).json
    assert (job["object"], job["status"], job["dry_run"]) == ("model.optimization", "running", False)
    models.machine.gate("tiny").set()
    await models.ask("GET", f"/optimizations/{job['id']}/events")
    done = (await models.ask("GET", f"/optimizations/{job['id']}")).json
    assert (done["status"], done["result"]["layout"], done["result"]["changed"]) == ("completed", "q8_0", True)
    assert done["result"]["layouts"][0]["gain"] == 2.0
    assert (await models.ask("GET", "/optimizations")).json["data"] == [done]


async def test_aliases_are_edited_and_last(models: ModelApp) -> None:
    """An alias is served at once and after a restart, by every server of the home; removed, it is a 404."""
    made = await models.ask("PUT", "/aliases/my/model", {"target": "tiny", "encoding": "cl100k_base"})
    assert made.json == {
        "id": "my/model",
        "object": "alias",
        "target": "tiny",
        "encoding": "cl100k_base",
        "origin": "recorded",
        "served": True,
    }
    assert (await models.ask("GET", "/v1/models/my/model", key=KEY)).json["root"] == "tiny"
    assert model_registry(models.settings).resolve("my/model", "").model.facts.name == "tiny"
    assert made.json in (await models.ask("GET", "/aliases")).json["data"]
    await models.ask("PUT", "/aliases/my/model", {"target": "seeing"})
    assert (await models.ask("GET", "/v1/models/my/model", key=KEY)).json["root"] == "seeing"
    assert (await models.ask("DELETE", "/aliases/my/model")).json["deleted"] is True
    assert (await models.ask("GET", "/v1/models/my/model", key=KEY)).status == 404
    assert (await models.ask("DELETE", "/aliases/my/model")).error["code"] == "alias_not_found"


async def test_a_built_in_name_is_changed_removed_and_reset(models: ModelApp) -> None:
    """OpenAI's names may stand for another model or for none, and get their built-in meaning back."""
    before = next(each for each in (await models.ask("GET", "/aliases")).json["data"] if each["id"] == "gpt-4")
    assert before["origin"] == "built_in"
    changed = (await models.ask("PUT", "/aliases/gpt-4", {"target": "seeing"})).json
    assert (changed["target"], changed["encoding"]) == ("seeing", "cl100k_base")
    assert (await models.ask("DELETE", "/aliases/gpt-4")).status == 200
    assert (await models.ask("GET", "/v1/models/gpt-4", key=KEY)).status == 404
    removed = next(each for each in (await models.ask("GET", "/aliases")).json["data"] if each["id"] == "gpt-4")
    assert (removed["target"], removed["origin"]) == (None, "recorded")
    assert (await models.ask("POST", "/aliases/gpt-4/reset")).json == before
    assert (await models.ask("POST", "/aliases/gpt-4/reset")).status == 404


@pytest.mark.parametrize(
    ("name", "body", "status", "param"),
    [
        ("tiny", {"target": "seeing"}, 400, "alias"),
        ("-x", {"target": "tiny"}, 400, "alias"),
        ("x" * 200, {"target": "tiny"}, 400, "alias"),
        ("mine", {"target": "nobody"}, 404, "model"),
        ("mine", {}, 400, "target"),
        ("mine", {"target": "tiny", "encoding": "latin-1"}, 400, "encoding"),
        ("fixed", {"target": "tiny"}, 409, None),
    ],
)
async def test_an_impossible_alias_is_refused(
    tmp_path: Path, name: str, body: object, status: int, param: str | None
) -> None:
    """Names of models, invalid names, unknown targets and encodings, and a name that a setting fixes are refused."""
    models = ModelApp(tmp_path, aliases={"fixed": "tiny"})
    response = await models.ask("PUT", f"/aliases/{name}", body)
    assert (response.status, response.error["param"]) == (status, param)
    assert not (tmp_path / "aliases.json").exists()


@pytest.mark.parametrize("key", [KEY, "", "wrong-wrong-wrong"])
async def test_for_anyone_else_there_is_nothing(models: ModelApp, key: str) -> None:
    """Without an admin key none of the paths exists."""
    for method, path in (("GET", ""), ("POST", "/pulls"), ("DELETE", "/tiny"), ("PUT", "/aliases/a")):
        assert (await models.ask(method, path, {}, key=key)).status == 404
    assert served_store(models.settings).find("tiny") is not None
