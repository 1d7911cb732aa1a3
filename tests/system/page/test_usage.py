"""The usage view: its numbers are the API's."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.system.page.conftest import Visiting
from tests.system.page.operator_visit import MODEL, complete, create_key, manage, open_as_operator
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess

PHONE = (390, 800)
COLUMNS = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens")


@pytest.fixture(scope="module")
def used(operated_server: ServerProcess) -> ServerProcess:
    """The server after requests of two keys."""
    busy, calm = create_key(operated_server, "busy", "school"), create_key(operated_server, "calm", "home")
    for user, tokens in (("ann", 30), ("ben", 20), ("ann", 10)):
        complete(operated_server, busy, tokens, user=user)
    complete(operated_server, calm, 12)
    part = "--b\r\nContent-Disposition: form-data; name="
    form = f'{part}"purpose"\r\n\r\nuser_data\r\n{part}"file"; filename="notes.txt"\r\n\r\n{"x" * 2500}\r\n--b--\r\n'
    headers = {"Authorization": f"Bearer {busy}", "Content-Type": "multipart/form-data; boundary=b"}
    assert operated_server.call("POST", "/v1/files", form.encode(), headers).status == 200
    return operated_server


def today() -> tuple[int, int]:
    """Return when this day begins and ends, in UTC."""
    start = int(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    return start, start + 86_400


def usage_of(server: ServerProcess, group: str) -> list[dict[str, Any]]:
    """Return the API's sums of today."""
    start, end = today()
    rows = manage(server, "GET", f"/usage?group_by={group}&start={start}&end={end}").json()["data"]
    assert rows
    return list(rows)


def expected(rows: list[dict[str, Any]]) -> list[list[int]]:
    """Return the numbers of the table's columns, the largest sum first."""
    numbers = [[*(row[name] for name in COLUMNS), row["prompt_tokens"] + row["completion_tokens"]] for row in rows]
    return sorted(numbers, key=lambda row: -row[-1])


def table_of(seen: Visit) -> dict[str, list[int]]:
    """Return the table's numbers by the name of the row."""
    rows = seen.page.locator(".usage-table tbody tr").all()
    cells = [row.locator("td").all_inner_texts() for row in rows]
    return {row[0].splitlines()[0]: [int(cell.replace(",", "")) for cell in row[1:]] for row in cells}


def bars_of(seen: Visit) -> list[int]:
    """Return the sum of the bars of each color, of those that there are."""
    found = seen.page.locator("rect[data-value]").evaluate_all(
        "bars => bars.map(bar => [bar.classList[0], Number(bar.dataset.value)])"
    )
    sums: dict[str, int] = {}
    for color, value in found:
        sums[color] = sums.get(color, 0) + value
    return sorted(sums.values(), reverse=True)


def test_the_plot_and_the_table_equal_the_api(used: ServerProcess, visit: Visiting) -> None:
    """Rows, total and bars by key are what `/admin/v1/usage` has, keys with their names; so they are by model."""
    seen = open_as_operator(visit, used, "#/usage/key/today")
    seen.page.locator("rect[data-value]").first.wait_for()
    rows = usage_of(used, "key")
    assert len(rows) >= 2
    table = table_of(seen)
    assert list(table.values()) == expected(rows)
    assert table["busy"][0] == 3
    assert table["busy"][3] == 60
    assert table["calm"][3] == 12
    assert seen.page.get_by_text(re.compile(r"^school · sk-")).count() == 1
    total = [int(cell.replace(",", "")) for cell in seen.page.locator("tfoot td").all_inner_texts()]
    assert total == [sum(column) for column in zip(*expected(rows), strict=True)]
    assert bars_of(seen) == [row[-1] for row in expected(rows)]
    seen.page.get_by_label("Shown as bars").select_option("requests")
    seen.page.wait_for_function(
        "() => [...document.querySelectorAll('.plot-legend strong')].some(e => e.textContent === '3')"
    )
    assert bars_of(seen) == sorted((row["requests"] for row in rows), reverse=True)
    seen.page.get_by_label("Grouped by").select_option("model")
    seen.page.locator(".usage-table tbody").get_by_text(MODEL).wait_for()
    assert list(table_of(seen).values()) == expected(usage_of(used, "model"))


def test_rows_are_sorted(used: ServerProcess, visit: Visiting) -> None:
    """A column's title sorts by it, and again the other way round."""
    seen = open_as_operator(visit, used, "#/usage/user/today")
    seen.page.locator(".usage-table tbody tr").first.wait_for()
    column = seen.page.get_by_role("columnheader", name="Requests")
    for order, is_reverse in (("descending", True), ("ascending", False)):
        column.get_by_role("button").click()
        seen.page.locator(f"th[aria-sort={order}]", has_text="Requests").wait_for()
        counts = [row[0] for row in table_of(seen).values()]
        assert counts == sorted(counts, reverse=is_reverse)
    assert {"ann", "ben", "No user named"} <= set(table_of(seen))


def test_the_csv_is_that_of_the_api(used: ServerProcess, visit: Visiting) -> None:
    """The file that is saved is the API's CSV of the same span and group."""
    seen = open_as_operator(visit, used, "#/usage/user/today")
    seen.page.locator(".usage-table tbody tr").first.wait_for()
    with seen.page.expect_download() as download:
        seen.find("button", "CSV").click()
    start, end = today()
    query = f"/usage?group_by=user&start={start}&end={end}&format=csv"
    assert download.value.path().read_bytes() == manage(used, "GET", query).body
    assert re.fullmatch(r"usage-by-user-[\d-]+\.csv", download.value.suggested_filename)


def test_what_is_shown_is_in_the_address(used: ServerProcess, visit: Visiting) -> None:
    """Group and days are part of the address; a span without usage says so; days are a row each."""
    seen = open_as_operator(visit, used, "#/usage")
    seen.page.locator(".usage-table tbody tr").first.wait_for()
    seen.page.get_by_label("Grouped by").select_option("day")
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    seen.page.locator(".usage-table tbody").get_by_text(day).wait_for()
    assert list(table_of(seen).values()) == expected(usage_of(used, "day"))
    assert bars_of(seen) == sorted(expected(usage_of(used, "day"))[0][i] for i in (1, 3))[::-1]
    seen.page.get_by_label("To (UTC), included").fill("2020-02-01")
    seen.page.get_by_text("No usage in this time.").wait_for()
    assert seen.page.evaluate("location.hash") == "#/usage/day/2020-02-01_2020-02-01"
    assert seen.find("button", "CSV").is_disabled()
    seen.page.reload()
    seen.page.get_by_text("No usage in this time.").wait_for()
    seen.find("button", "7 days").click()
    seen.page.locator(".usage-table tbody").get_by_text(day).wait_for()
    assert seen.page.evaluate("location.hash") == "#/usage/day/7d"


def test_storage_is_shown_by_project(used: ServerProcess, visit: Visiting) -> None:
    """Each project's bytes, by kind and of its limit."""
    seen = open_as_operator(visit, used, "#/usage")
    row = seen.page.get_by_role("row", name=re.compile("^school"))
    row.wait_for()
    assert "2.5 kB" in row.inner_text()
    assert "of 100 GB" in row.inner_text()


def test_many_rows_are_in_pages(used: ServerProcess, visit: Visiting) -> None:
    """Fifty rows are on a page; with more than 10,000 the view says that the CSV has all."""
    seen = open_as_operator(visit, used, "#/")
    numbers = {"requests": 1, "prompt_tokens": 1, "completion_tokens": 1, "cached_tokens": 0}
    data = [{"user": f"user-{i}-{'long' * 40}", **numbers, "prompt_tokens": i} for i in range(120)]
    body = {"data": data, "has_more": True, "next_page": "page_10000_1"}
    seen.page.route(re.compile(r"usage\?.*group_by=user&limit"), lambda route: route.fulfill(json=body))
    seen.page.goto(f"http://127.0.0.1:{used.port}/#/usage/user/today")
    seen.page.get_by_text("1–50 of 120").wait_for()
    seen.find("button", "Next page").click()
    seen.find("button", "Next page").click()
    seen.page.get_by_text("101–120 of 120").wait_for()
    assert seen.page.locator(".usage-table tbody tr").count() == 20
    assert seen.find("button", "Next page").is_disabled()
    seen.page.get_by_text("These are the first 120 rows.").wait_for()
    assert seen.page.evaluate("(main => main.scrollWidth <= main.clientWidth)(document.querySelector('main'))")


def test_an_error_is_shown_in_the_servers_words(used: ServerProcess, visit: Visiting) -> None:
    """Usage that cannot be loaded says why, and is loaded when asked again."""
    seen = open_as_operator(visit, used, "#/")
    error = {"error": {"message": "This server does not store usage."}}
    seen.page.route("**/admin/v1/usage?**", lambda route: route.fulfill(status=503, json=error))
    seen.page.goto(f"http://127.0.0.1:{used.port}/#/usage")
    seen.page.get_by_text("This server does not store usage.").wait_for()
    seen.page.unroute("**/admin/v1/usage?**")
    seen.find("button", "Try again").click()
    seen.page.locator(".usage-table").wait_for()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, (1280, 800)], ids=["phone", "wide"])
def test_no_serious_fault_of_accessibility(
    used: ServerProcess, visit: Visiting, color_scheme: str, size: tuple[int, int]
) -> None:
    """axe-core finds nothing serious, and nothing is wider than a phone."""
    seen = open_as_operator(visit, used, "#/usage", color_scheme=color_scheme, size=size)
    seen.page.locator("rect[data-value]").first.wait_for()
    seen.page.get_by_role("row", name=re.compile("^school")).wait_for()
    assert seen.accessibility_faults() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.page.evaluate("(main => main.scrollWidth <= main.clientWidth)(document.querySelector('main'))")
