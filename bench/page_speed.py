"""`python -m bench.page_speed`: how fast the page in the browser is, and what it costs the gateway.

The scripted engine streams 100 tokens per second into an answer of 10,000 tokens of Markdown, the first 8,000 of which
come at once; what is measured is the rest. It needs Chromium and Playwright's client.
"""

import argparse
import os
import shutil
import statistics
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import openai
from playwright.sync_api import sync_playwright

from bench import browser_trace, log, machine, markdown_words, run_stats, scripted, servers, table
from bench.browser_trace import Task
from bench.plan import Plan
from bench.row import Row
from bench.servers import Served
from homeport.settings import load

_LOAD_MS, _TASK_MS, _MEMORY_MB, _CPU_RATIO = 300.0, 16.0, 5.0, 1.1
_SMALL_MS = 1.0
"""Shorter tasks, of which there are thousands, would hide the others."""
_LOADS = 7
_USABLE = """
new MutationObserver((_, observer) => {
  if (!document.querySelector(".composer textarea")) return;
  observer.disconnect();
  window.usableMs = performance.now();
}).observe(document, {childList: true, subtree: true});
"""


def rows(plan: Plan) -> list[Row]:
    """Measure everything."""
    with _served(plan, scripted.MARKDOWN) as side, _browser() as browser:
        plan.say("load")
        loaded = _load_ms(browser, side)
        _sdk_cpu_s(side, max_tokens=100)  # the first answer of a process costs more
        streamed, sdk = [], []
        for turn in range(plan.rounds):
            plan.say(f"stream to the page and to the SDK, round {turn + 1} of {plan.rounds}")
            streamed.append(_stream(browser, side, turn))
            sdk.append(_sdk_cpu_s(side, scripted.LONG_TOKENS))
    found = [task for each, _ in streamed for task in each if task.cpu_ms >= _SMALL_MS]
    wall, computed = [task.wall_ms for task in found], [task.cpu_ms for task in found]
    cpu = [spent for _, spent in streamed]
    note = f"{len(found)} tasks that compute over {_SMALL_MS:.0f} ms: p50 {run_stats.median(wall):.1f} ms, longest "
    note += (
        f"{max(wall):.1f} ms; of CPU time p95 {run_stats.quantile(computed, 0.95):.1f} ms, longest {max(computed):.1f} "
    )
    note += f"ms; {_share(streamed, plan):.0%} of a CPU"
    page_us, sdk_us = (run_stats.median(side) * 1e6 / scripted.LONG_TOKENS for side in (cpu, sdk))
    p95 = run_stats.quantile(wall, 0.95)
    memory = _memory_mb(plan)
    return [
        _at_most("cold load to a chat that can be used", "ms", loaded, _LOAD_MS, f"median of {_LOADS}, loopback"),
        _at_most("main-thread task p95 while streaming", "ms", p95, _TASK_MS, note),
        _at_most("gateway memory once it was loaded", "MB", memory, _MEMORY_MB, "RSS, less that with --no-page"),
        Row("page: gateway CPU per streamed token", "the SDK", "µs", page_us, sdk_us, _CPU_RATIO, at_most=True),
    ]


def _at_most(work: str, unit: str, value: float, limit: float, note: str) -> Row:
    return Row(f"page: {work}", "–", unit, value, None, limit, at_most=True, note=note)


def _share(streamed: list[tuple[Sequence[Task], float]], plan: Plan) -> float:
    seconds = plan.rounds * scripted.SLOW_TOKENS / scripted.STEPS_PER_S
    return sum(task.cpu_ms for found, _ in streamed for task in found) / 1000 / seconds


@contextmanager
def _served(plan: Plan, *flags: str, after: tuple[str, ...] = ()) -> Iterator[Served]:
    settings = {"HOME": str(plan.home), "PROMPTS": "off"}
    with servers.homeport(plan.model, settings, ("-m", "bench.scripted", *flags, "serve", *after), waits=False) as side:
        yield side


@contextmanager
def _browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def _address(side: Served) -> str:
    return f"http://127.0.0.1:{side.address.port}/"


def _load_ms(browser: Any, side: Served) -> float:
    """Measure visits with an empty cache, from the begin of the navigation until the field to write in is there."""
    found = []
    for _ in range(_LOADS + 1):
        context = browser.new_context()
        context.add_init_script(_USABLE)
        page = context.new_page()
        page.goto(_address(side) + "#/chat")
        page.locator(".composer textarea").wait_for()
        found.append(float(page.evaluate("window.usableMs")))
        context.close()
    return statistics.median(found[1:])  # the first visit has the server read the files


def _stream(browser: Any, side: Served, turn: int) -> tuple[Sequence[Task], float]:
    """Have the page ask; return the tasks while it streams, and the gateway's CPU time."""
    page = browser.new_page()
    page.goto(_address(side) + "#/chat")
    page.get_by_role("textbox", name="Write a message").fill(f"Write much, for the {turn + 1}. time.")
    page.wait_for_load_state("networkidle")  # what the page loads is not the stream's
    before = side.child.main_cpu_s()
    page.keyboard.press("Enter")
    page.get_by_text(f"Section {_sections_before()}", exact=True).wait_for()
    browser.start_tracing(page=page, categories=browser_trace.CATEGORIES)
    page.locator(".message-foot").wait_for()
    spent = side.child.main_cpu_s() - before
    trace = browser.stop_tracing()  # takes seconds
    page.close()
    return browser_trace.tasks(trace), spent


def _sections_before() -> int:
    """Return the last section of the part of the answer that comes at once."""
    before = "".join(islice(markdown_words.tokens(), scripted.LONG_TOKENS - scripted.SLOW_TOKENS))
    return before.count("\n## ")


def _sdk_cpu_s(side: Served, max_tokens: int) -> float:
    """Return the gateway's CPU time for the same answer, as far as `max_tokens`, to the official client."""
    with openai.OpenAI(base_url=_address(side) + "v1", api_key="bench", max_retries=0) as client:
        before = side.child.main_cpu_s()
        chunks = client.chat.completions.create(
            model=side.address.model,
            messages=[{"role": "user", "content": "Write much."}],
            max_tokens=max_tokens,
            stream=True,
            stream_options={"include_usage": True},
        )
        for _ in chunks:
            pass
        return side.child.main_cpu_s() - before


def _memory_mb(plan: Plan) -> float:
    """Return what the gateway holds more after a visit than without the page."""
    without, loaded = [], []
    for turn in range(plan.rounds):
        plan.say(f"memory, round {turn + 1} of {plan.rounds}")
        with _served(plan, after=("--no-page",)) as side:
            _visit(side, "application/json")
            without.append(side.child.memory_bytes()[0] / 1e6)
        with _served(plan) as side, _browser() as browser:
            page = browser.new_page()
            page.goto(_address(side) + "#/chat")
            page.get_by_role("textbox", name="Write a message").wait_for()
            page.close()
            _visit(side, "application/json")
            loaded.append(side.child.memory_bytes()[0] / 1e6)
    return run_stats.median(loaded) - run_stats.median(without)


def _visit(side: Served, kind: str) -> None:
    for path in ("", "v1/models", "health", "v1/models", "admin/v1/self"):
        request = urllib.request.Request(_address(side) + path, headers={"accept": kind})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            answer.read()


def main() -> None:
    """Measure the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.page_speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    threads = os.cpu_count() or 1
    home: Path = load().home
    plan = Plan("smollm2-135m", arguments.rounds, threads, home, say=lambda text: print(text, flush=True))
    heading = machine.heading("the page", threads, "openai", machine.rounds(arguments.rounds))
    lines = [f"### {heading}", "", *table.targets(rows(plan))]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
