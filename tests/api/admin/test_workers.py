"""What an operator sees and does with workers."""

import pytest
from starlette.types import ASGIApp

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.domain.models import EngineStats
from homeport.domain.operations import WorkerReport
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeServing, loaded, services

ADMIN, KEY = "the-admin-key-of-tests", "sk-a-callers-own-key"
LIST = "/admin/v1/workers"


def running(access: AccessPolicy) -> ASGIApp:
    serving = FakeServing()
    for name in ("tiny", "org/other"):
        serving.running[name] = (loaded(name), EngineStats())
    return build_application(services(serving, access=access))


async def ask(app: ASGIApp, method: str, path: str, key: str = ADMIN) -> AsgiResponse:
    return await call(app, method, path, headers={"authorization": f"Bearer {key}"})


@pytest.mark.parametrize("keys", [(), (KEY,)])
async def test_an_admin_sees_and_stops_workers(keys: tuple[str, ...]) -> None:
    """With an admin key workers are listed, and unloaded by name or alias, each once."""
    app = running(AccessPolicy.from_keys(keys, admin_keys=(ADMIN,)))
    workers = (await ask(app, "GET", LIST)).json
    assert [worker["model"] for worker in workers["data"]] == ["tiny", "org/other"]
    assert (await ask(app, "POST", f"{LIST}/gpt-3.5-turbo/stop")).json["model"] == "tiny"
    assert (await ask(app, "POST", f"{LIST}/org/other/stop")).status == 200
    response = await ask(app, "POST", f"{LIST}/tiny/stop")
    assert (response.status, response.error["code"]) == (404, "model_not_loaded")
    assert (await ask(app, "POST", f"{LIST}/nobody/stop")).error["code"] == "model_not_found"
    assert (await ask(app, "GET", LIST)).json["data"] == []


async def test_every_replica_is_a_worker() -> None:
    """In a cluster the list has each replica of a model, with its node."""
    serving = FakeServing()
    serving.reports = [WorkerReport("tiny", 7, "ready", node=node, replica=f"{node}-1") for node in ("n1", "n2")]
    app = build_application(services(serving, access=AccessPolicy.from_keys((), admin_keys=(ADMIN,))))
    workers = (await ask(app, "GET", LIST)).json["data"]
    assert [(each["node"], each["replica"]) for each in workers] == [("n1", "n1-1"), ("n2", "n2-1")]


@pytest.mark.parametrize("key", [KEY, "", "wrong-wrong-wrong"])
@pytest.mark.parametrize("admins", [(), (ADMIN,)])
async def test_for_anyone_else_there_is_no_admin(key: str, admins: tuple[str, ...]) -> None:
    """Without an admin key the paths do not exist, whether one is set or not."""
    for keys in ((), (KEY,)):
        for path in (LIST, "/admin"):
            response = await ask(running(AccessPolicy.from_keys(keys, admin_keys=admins)), "GET", path, key)
            assert (response.status, response.error["message"]) == (404, f"Invalid URL (GET {path})")


async def test_an_admins_key_opens_nothing_else() -> None:
    """An admin key is no caller's key."""
    assert (await ask(running(AccessPolicy.from_keys((KEY,), admin_keys=(ADMIN,))), "GET", "/v1/models")).status == 401
