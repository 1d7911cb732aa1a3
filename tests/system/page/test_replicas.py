"""What the page shows of a model with several replicas. What the server says of them is replaced on the way."""

from typing import Any

from tests.system.page.conftest import ADMIN_KEY, Visiting
from tests.system.page.operator_visit import MODEL, manage
from tests.system.server import ServerProcess

PHONE = (390, 800)
AWAY: dict[str, Any] = {
    "node": "10.0.0.1",
    "replica": "r1",
    "state": "unreachable",
    "running": 0,
    "waiting": 0,
    "memory_bytes": 0,
    "device_bytes": 0,
    "restarts": 0,
    "reason": "The replica cannot be reached: refused",
}
READY = {**AWAY, "node": "10.0.0.2", "replica": "r2", "state": "ready", "running": 2, "waiting": 1, "reason": None}
READY |= {"memory_bytes": 1_200_000_000, "restarts": 3}


def test_a_model_has_a_line_for_each_replica(operated_server: ServerProcess, visit: Visiting) -> None:
    """A model with two replicas lists them with node, state and requests; one with a single replica lists none."""
    library = manage(operated_server, "GET", "/models").json()
    [model] = [each for each in library["data"] if each["id"] == MODEL]
    model |= {"state": "ready", "loaded": True, "replicas": [AWAY, READY]}
    seen = visit(operated_server, size=PHONE)
    seen.page.route("http://*/admin/v1/models", lambda route: route.fulfill(json=library))
    seen.sign_in_with(admin_key=ADMIN_KEY, address="#/models")
    lines = seen.find("list", f"Replicas of {MODEL}").get_by_role("listitem")
    lines.nth(1).wait_for()
    assert lines.all_inner_texts() == [
        "Not reachable r1 on 10.0.0.1 · running 0, waiting 0 · The replica cannot be reached: refused",
        "Loaded r2 on 10.0.0.2 · running 2, waiting 1 · 1.2 GB · restarts: 3",
    ]
    assert not seen.is_sideways()
    assert seen.accessibility_faults() == []
    model |= {"replicas": [READY]}
    seen.page.reload()
    seen.find("listitem", MODEL).wait_for()
    assert seen.find("list", f"Replicas of {MODEL}").count() == 0


def test_each_replica_is_a_row_of_the_workers(operated_server: ServerProcess, visit: Visiting) -> None:
    """Monitoring has a row for each replica with its node, and stopping one says that all of them end."""
    workers = [{"model": MODEL, "pid": None, "device": "cpu", "idle_s": 0.0, **each} for each in (AWAY, READY)]
    seen = visit(operated_server)
    seen.page.route("http://*/admin/v1/workers", lambda route: route.fulfill(json={"object": "list", "data": workers}))
    seen.sign_in_with(admin_key=ADMIN_KEY, address="#/monitoring")
    rows = seen.find("region", "Workers").get_by_role("row")
    rows.nth(2).wait_for()
    away, ready = rows.nth(1).inner_text(), rows.nth(2).inner_text()
    assert "r1 on 10.0.0.1" in away
    assert "not reachable" in away
    assert "r2 on 10.0.0.2" in ready
    assert "1.2 GB" in ready
    rows.nth(1).get_by_role("button", name=f"Stop {MODEL}").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_text("All replicas of the model end.").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
