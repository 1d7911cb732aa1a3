"""Tries every field of every endpoint on a running server: it has an effect, or a 400 names it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from homeport.api.compatibility import FieldNote
from tests.system.compatibility import fine_tuning, images, page, responses, shapes, structured
from tests.system.compatibility.probes import every_field, judge
from tests.system.server import ServerProcess
from tests.tool_server import ToolServer

Verdicts = Mapping[tuple[str, str], str | Exception]


@pytest.fixture(scope="module")
def verdicts(
    server: ServerProcess,
    image_server: ServerProcess,
    fine_tuning_server: ServerProcess,
    reasoning_server: ServerProcess,
    drawing_server: ServerProcess,
    installed: Mapping[str, Path],
) -> Verdicts:
    """The verdict on every field, once for all tests of this module."""
    assert installed
    others = dict.fromkeys((*images.PROBES, *shapes.PROBES), image_server)
    others |= dict.fromkeys(fine_tuning.PROBES, fine_tuning_server)
    needs_reasoning = {"chat": structured.REASONING, "responses": responses.REASONING}
    found: dict[tuple[str, str], str | Exception] = {}
    for endpoint, field in every_field():
        is_reasoning = field.name in needs_reasoning.get(endpoint, ())
        chosen = reasoning_server if is_reasoning else others.get(endpoint, server)
        if endpoint == "responses" and field.name in responses.HOSTED:
            chosen = drawing_server
        try:
            found[endpoint, field.name] = judge(chosen, endpoint, field)
        except (AssertionError, LookupError) as missed:
            found[endpoint, field.name] = missed
    return found


@pytest.mark.parametrize(("endpoint", "field"), [pytest.param(e, f, id=f"{e}-{f.name}") for e, f in every_field()])
def test_field_does_what_its_note_says(verdicts: Verdicts, endpoint: str, field: FieldNote) -> None:
    """A served field changes the answer, an accepted one has no effect, a refused one is a 400 that names it."""
    verdict = verdicts[endpoint, field.name]
    if isinstance(verdict, Exception):
        raise verdict


def test_every_event_is_listed(
    server: ServerProcess,
    reasoning_server: ServerProcess,
    drawing_server: ServerProcess,
    mcp_server: ServerProcess,
    tools: ToolServer,
) -> None:
    """The page lists exactly the events that streams of all sorts contain."""
    servers = responses.Servers(server, reasoning_server, drawing_server, mcp_server, tools.url)
    assert set(responses.streamed_events(servers)) == set(responses.EVENTS)


def test_compatibility_page_is_current(verdicts: Verdicts, request: pytest.FixtureRequest) -> None:
    """docs/compatibility.md is what the generator makes of these verdicts; `--write-pages` writes it."""
    seen = {key: verdict for key, verdict in verdicts.items() if isinstance(verdict, str)}
    assert len(seen) == len(verdicts), "fields failed, so no page can be made"
    made = page.render(seen)
    if request.config.getoption("--write-pages"):
        page.PAGE.write_text(made, encoding="utf-8")
    assert page.PAGE.read_text("utf-8") == made, "run `make docs`"
