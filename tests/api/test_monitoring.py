"""Whether the process is running, and whether it is ready."""

import pytest

from homeport.api import monitoring
from homeport.api.application import build_application
from homeport.api.metrics import Metrics
from homeport.domain.errors import Unavailable
from homeport.serving.background_loops import BackgroundLoops
from tests.api.asgi import call
from tests.api.fakes import FakeServing, services
from tests.serving.conftest import until


async def test_liveness_does_not_depend_on_workers() -> None:
    """Liveness is that of the process, under both of its paths."""
    serving = FakeServing()
    serving.is_ready = False
    app = build_application(services(serving))
    assert (await call(app, "GET", "/health/live")).json == {"status": "ok"}
    assert (await call(app, "GET", "/health")).json == {"status": "ok"}


async def test_ready_follows_serving() -> None:
    """Readiness is a 503 with a reason while the server is not ready, and recovers automatically."""
    serving = FakeServing()
    app = build_application(services(serving))
    assert (await call(app, "GET", "/health/ready")).status == 200
    serving.is_ready = False
    response = await call(app, "GET", "/health/ready")
    assert (response.status, response.error["code"]) == (503, "not_ready")
    assert response.headers["retry-after"] == "1"
    serving.is_ready = True
    assert (await call(app, "GET", "/health/ready")).status == 200


async def test_the_root_url_describes_the_server() -> None:
    """The root URL describes the server and names the path of the API."""
    response = (await call(build_application(services(version="1.2")), "GET", "/")).json
    assert (response["name"], response["version"], response["api"]) == ("homeport", "1.2", "/v1")


async def test_a_failing_background_loop_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing loop is named at once, here and in `/metrics`; after a minute it is a 503."""
    loops = BackgroundLoops(first_s=0.0, limit_s=0.0)
    app = build_application(services(loops=loops, metrics=Metrics(loops=loops)))

    async def step() -> None:
        raise Unavailable("the database is away")

    loops.start("keys", step, 0.001)
    try:
        await until(loops.failing)
        response = await call(app, "GET", "/health/ready")
        assert (response.status, response.json) == (200, {"status": "ready", "failing": ["keys"]})
        scraped = (await call(app, "GET", "/metrics")).body.decode()
        assert 'homeport:background_loop_failing{loop="keys"} 1.0' in scraped
        assert 'homeport:background_loop_failures_total{loop="keys"}' in scraped
        monkeypatch.setattr(monitoring, "PATIENCE_S", 0.0)
        response = await call(app, "GET", "/health/ready")
        assert (response.status, response.error["code"]) == (503, "not_ready")
        assert "keys" in response.error["message"]
    finally:
        await loops.stop()
    assert (await call(app, "GET", "/health/ready")).json == {"status": "ready"}
