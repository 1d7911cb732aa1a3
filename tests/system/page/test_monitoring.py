"""The monitoring view: numbers that move, workers, and the log."""

import json
import re

import pytest

from tests.system.page.conftest import Visiting
from tests.system.page.operator_visit import complete, create_key, long_answer, manage, open_as_operator
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess

PHONE = (390, 800)
READING = """([title, name]) => [...document.querySelectorAll(`section[aria-label="${title}"] .readings > div`)]
    .find(each => each.querySelector("dt").textContent === name).querySelector("dd").textContent"""


@pytest.fixture(scope="module")
def key(operated_server: ServerProcess) -> str:
    return create_key(operated_server, "monitored")


def wait_reading(seen: Visit, title: str, name: str, pattern: str) -> None:
    """Wait until the number of this name in a panel matches a pattern."""
    wanted = f"values => new RegExp(values[2]).test(({READING})(values))"
    seen.page.wait_for_function(wanted, arg=[title, name, pattern])


def lines(seen: Visit) -> list[str]:
    """Return the log's lines as they are shown."""
    return list(seen.page.locator(".log-line").all_inner_texts())


def test_numbers_move_while_an_answer_is_generated(operated_server: ServerProcess, visit: Visiting, key: str) -> None:
    """Tokens per second and running requests show an answer while it is generated, and its counts after it."""
    seen = open_as_operator(visit, operated_server, "#/monitoring")
    seen.page.locator("section[aria-label='Tokens per second']").wait_for()
    complete(operated_server, key)
    with long_answer(operated_server, key):
        wait_reading(seen, "Requests now", "Running", "^1$")
        wait_reading(seen, "Tokens per second", "Generated", "^[1-9]")
    wait_reading(seen, "Requests to models", "Cancelled", "^[1-9]")
    wait_reading(seen, "Requests to models", "Answered", "^[1-9]")
    wait_reading(seen, "Requests now", "Running", "^0$")
    wait_reading(seen, "Time to first token", "Median", r"\d m?s$")
    wait_reading(seen, "Memory", "Workers", r"\d [MG]B$")
    assert seen.page.locator("section[aria-label='Tokens per second'] canvas").count() == 1
    seen.page.get_by_label("Model", exact=True).select_option("smollm2-135m")
    assert seen.page.locator("section[aria-label='HTTP responses']").count() == 0
    wait_reading(seen, "Requests to models", "Answered", "^[1-9]")


def test_a_stopped_worker_comes_back(operated_server: ServerProcess, visit: Visiting, key: str) -> None:
    """Stop asks, unloads the model and says so; the next request loads it, and it is listed again."""
    complete(operated_server, key)
    seen = open_as_operator(visit, operated_server, "#/monitoring")
    seen.find("button", "Stop smollm2-135m").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    seen.find("button", "Stop smollm2-135m").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    seen.page.get_by_text("No model is loaded.", exact=True).wait_for()
    assert manage(operated_server, "GET", "/workers").json()["data"] == []
    complete(operated_server, key)
    row = seen.page.get_by_role("row", name=re.compile("smollm2-135m.*ready"))
    row.wait_for()
    [worker] = manage(operated_server, "GET", "/workers").json()["data"]
    assert str(worker["pid"]) in row.inner_text()


def test_a_worker_that_died_has_a_restart(operated_server: ServerProcess, visit: Visiting, key: str) -> None:
    """A worker that was killed is restarted, which its row counts, and its end is an error of the log."""
    complete(operated_server, key)
    [worker] = manage(operated_server, "GET", "/workers").json()["data"]
    next(each for each in operated_server.workers() if each.pid == worker["pid"]).kill()

    def is_back() -> bool:
        found = manage(operated_server, "GET", "/workers").json()["data"]
        return bool(found) and found[0]["state"] == "ready" and found[0]["pid"] != worker["pid"]

    operated_server.wait("the worker is back", is_back)
    seen = open_as_operator(visit, operated_server, "#/monitoring")
    row = seen.page.get_by_role("row", name=re.compile("smollm2-135m.*ready"))
    row.wait_for()
    assert row.get_by_role("cell").all_inner_texts()[5] == "1"
    seen.page.get_by_label("Level", exact=True).select_option("error")
    seen.page.locator(".log-line", has_text=f"Worker {worker['pid']}").wait_for()


def test_a_request_is_in_the_log(operated_server: ServerProcess, visit: Visiting, key: str) -> None:
    """The line of a request arrives; text, level and source select lines; what the view itself asks for is left out."""
    seen = open_as_operator(visit, operated_server, "#/monitoring")
    seen.page.locator(".log-line").first.wait_for()
    request_id = complete(operated_server, key).headers["x-request-id"]
    seen.page.locator(".log-line", has_text=request_id).wait_for()
    assert not [line for line in lines(seen) if "/admin/" in line]
    search = seen.find("searchbox", "Filter by text")
    search.fill(request_id)
    seen.page.wait_for_function("() => document.querySelectorAll('.log-line').length === 1")
    assert re.search(r"INFO +access POST /v1/completions 200 [\d.]+ ms smollm2-135m req", lines(seen)[0])
    seen.find("button", "Copy these lines").click()
    seen.page.get_by_text("Lines copied: 1").wait_for()
    seen.page.get_by_label("Level", exact=True).select_option("error")
    seen.page.get_by_text("No line is shown.").wait_for()
    search.fill("")
    seen.page.get_by_label("Level", exact=True).select_option("info")
    seen.page.get_by_label("Source", exact=True).select_option("workers")
    seen.page.locator(".log-line", has_text="homeport.llama").first.wait_for()
    others = "[...document.querySelectorAll('.log-line')].filter(line => !line.textContent.includes(' worker '))"
    seen.page.wait_for_function(f"() => {others}.length === 0")


def test_the_log_pauses(operated_server: ServerProcess, visit: Visiting, key: str) -> None:
    """A paused log stays as it is; afterwards the lines that were written meanwhile follow."""
    seen = open_as_operator(visit, operated_server, "#/monitoring")
    seen.page.locator(".log-line").first.wait_for()
    seen.find("button", "Pause").click()
    seen.page.get_by_text("Paused ·").wait_for()
    before = lines(seen)
    ids = [complete(operated_server, key, tokens=1).headers["x-request-id"] for _ in range(2)]
    assert lines(seen) == before
    seen.find("button", "Resume").click()
    for request_id in ids:
        seen.page.locator(".log-line", has_text=request_id).wait_for()
    assert lines(seen)[: len(before)] == before


def test_the_log_is_bounded(operated_server: ServerProcess, visit: Visiting) -> None:
    """Of more lines, the latest 5,000 stay; the view is at their end, until somebody scrolls up."""
    seen = open_as_operator(visit, operated_server, "#/")
    data = [
        {"id": i, "time": 1.0, "level": "info", "logger": "homeport.x", "message": f"line {i}", "trace": None}
        for i in range(1, 5301)
    ]
    page = {"data": data, "last_id": len(data), "has_more": False, "missed": 0}
    seen.page.route("**/admin/v1/logs?**", lambda route: route.fulfill(json=page))
    seen.page.route("**/admin/v1/logs/events**", lambda route: route.fulfill(status=503, json={"error": {}}))
    seen.page.goto(f"http://127.0.0.1:{operated_server.port}/#/monitoring")
    seen.page.get_by_text("Lines: 5,000").wait_for()
    seen.page.locator(".log-line").last.get_by_text("line 5300").wait_for()
    at_end = "() => (log => log.scrollHeight - log.scrollTop - log.clientHeight < 2)(document.querySelector('.log'))"
    seen.page.wait_for_function(at_end)
    seen.page.locator(".log").evaluate("log => log.scrollTo(0, log.scrollTop - 500)")
    seen.page.wait_for_function(
        "() => document.querySelector('[aria-label=\"Follow the end\"]').ariaPressed === 'false'"
    )
    seen.find("button", "Follow the end").click()
    seen.page.wait_for_function(at_end)


def test_a_hidden_tab_reads_nothing(operated_server: ServerProcess, visit: Visiting) -> None:
    """Both streams end when the tab is hidden, and continue where they were when it is seen again."""
    seen = open_as_operator(visit, operated_server, "#/monitoring")
    seen.page.locator(".log-line").first.wait_for()
    seen.page.locator("section[aria-label=Memory] canvas").wait_for()
    hide = """isHidden => {
        Object.defineProperty(document, "hidden", {value: isHidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    ended: list[str] = []
    seen.page.on("requestfailed", lambda request: ended.append(request.url))
    with seen.page.expect_event("requestfailed"):
        seen.page.evaluate(hide, True)
    with seen.page.expect_request("**/series/events?after=*"), seen.page.expect_request("**/logs/events?after=*"):
        seen.page.evaluate(hide, False)
    assert {re.sub(r".*/v1/|/events.*", "", url) for url in ended} == {"metrics/series", "logs"}


def test_without_streams_it_asks(operated_server: ServerProcess, visit: Visiting, key: str) -> None:
    """Where streams do not get through, the view asks every few seconds, and shows no error."""
    seen = open_as_operator(visit, operated_server, "#/")
    seen.page.route("**/events?**", lambda route: route.fulfill(status=502, body="Bad gateway"))
    seen.page.goto(f"http://127.0.0.1:{operated_server.port}/#/monitoring")
    seen.page.locator(".log-line").first.wait_for()
    request_id = complete(operated_server, key).headers["x-request-id"]
    seen.page.locator(".log-line", has_text=request_id).wait_for()
    assert seen.page.get_by_role("alert").count() == 0


def test_an_error_is_shown_in_the_servers_words(operated_server: ServerProcess, visit: Visiting) -> None:
    """What cannot be loaded says why, and is loaded when asked again."""
    seen = open_as_operator(visit, operated_server, "#/")
    error = json.dumps({"error": {"message": "This server keeps no series of metrics."}})
    seen.page.route("**/admin/v1/metrics/series**", lambda route: route.fulfill(status=503, body=error))
    seen.page.goto(f"http://127.0.0.1:{operated_server.port}/#/monitoring")
    seen.page.get_by_text("This server keeps no series of metrics.").wait_for()
    seen.page.unroute("**/admin/v1/metrics/series**")
    seen.find("button", "Try again").click()
    seen.page.locator("section[aria-label=Memory]").wait_for()


def test_diagnostics_are_copied(operated_server: ServerProcess, visit: Visiting) -> None:
    """The button copies the version, the workers, the last minute and warnings as JSON."""
    seen = open_as_operator(visit, operated_server, "#/monitoring")
    seen.page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    seen.find("button", "Copy diagnostics").click()
    seen.page.get_by_text("The diagnostics are copied.").wait_for()
    copied = json.loads(seen.page.evaluate("copied"))
    assert copied["version"]
    assert copied["last_minute"]["server"]["gateway_bytes"]
    assert isinstance(copied["workers"], list)
    assert isinstance(copied["warnings"], list)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, (1280, 800)], ids=["phone", "wide"])
def test_no_serious_fault_of_accessibility(
    operated_server: ServerProcess, visit: Visiting, key: str, color_scheme: str, size: tuple[int, int]
) -> None:
    """axe-core finds nothing serious, and nothing is wider than a phone."""
    complete(operated_server, key)
    seen = open_as_operator(visit, operated_server, "#/monitoring", color_scheme=color_scheme, size=size)
    seen.page.locator(".log-line").first.wait_for()
    seen.find("button", "Stop smollm2-135m").wait_for()
    seen.page.locator("section[aria-label=Memory] canvas").wait_for()
    assert seen.accessibility_faults() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.page.evaluate("(main => main.scrollWidth <= main.clientWidth)(document.querySelector('main'))")
