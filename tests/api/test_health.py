"""Whether it is up, and whether it would serve."""

from homeport.api.application import build
from tests.api.asgi import call
from tests.api.fakes import FakeServing, services


async def test_live_says_so_whatever_the_workers_do() -> None:
    """Liveness is the process's own, under both of its paths."""
    serving = FakeServing()
    serving.is_ready = False
    app = build(services(serving))
    assert (await call(app, "GET", "/health/live")).json == {"status": "ok"}
    assert (await call(app, "GET", "/health")).json == {"status": "ok"}


async def test_ready_follows_serving() -> None:
    """Readiness is 503 with a reason while requests would not be served, and recovers by itself."""
    serving = FakeServing()
    app = build(services(serving))
    assert (await call(app, "GET", "/health/ready")).status == 200
    serving.is_ready = False
    said = await call(app, "GET", "/health/ready")
    assert (said.status, said.error["code"]) == (503, "not_ready")
    assert said.headers["retry-after"] == "1"
    serving.is_ready = True
    assert (await call(app, "GET", "/health/ready")).status == 200


async def test_the_bare_address_says_what_this_is() -> None:
    """Whoever opens the address in a browser learns what answers and where the API is."""
    said = (await call(build(services(version="1.2")), "GET", "/")).json
    assert (said["name"], said["version"], said["api"]) == ("homeport", "1.2", "/v1")
