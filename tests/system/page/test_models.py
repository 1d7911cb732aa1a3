"""The view of models: pulled from a fake hub, loaded, unloaded and deleted, and names that stand for them."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.models.fakes import REPO, FakeHub
from tests.system.page.conftest import ADMIN_KEY, Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess, free_port, running

ROOT = "/admin/v1/models"
INSTALLED, PULLED = "smollm2-135m", "tiny-q4_k_m"
PULL = f"Pull hf:{REPO}"
PHONE = (390, 844)
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture(scope="module")
def hub(smollm2: Path) -> Iterator[FakeHub]:
    """A hub that has the weights of a real model under another name."""
    with FakeHub() as started:
        started.files = {"Tiny-Q4_K_M.gguf": smollm2.read_bytes()}
        yield started


def make_home(folder: Path, smollm2: Path) -> tuple[str, ...]:
    """Make a home with one installed model; return the flags of a server that pulls into it."""
    (folder / "models").mkdir(parents=True)
    (folder / "models" / INSTALLED).symlink_to(smollm2.parent)
    return "--home", str(folder), "--model", INSTALLED, "--no-offline"


@pytest.fixture(scope="module")
def managed(
    browser: Any, hub: FakeHub, tmp_path_factory: pytest.TempPathFactory, smollm2: Path
) -> Iterator[ServerProcess]:
    """A server with a home of its own, which the tests of this file change."""
    assert browser
    folder = tmp_path_factory.mktemp("managed")
    flags = make_home(folder / "home", smollm2)
    with running(folder / "log", *flags, ADMIN_KEY=ADMIN_KEY, HF_ENDPOINT=hub.url) as started:
        yield started


def ask(server: ServerProcess, method: str, path: str, body: object = None) -> Any:
    """Send an operator's request; return the body of the answer, which is no error."""
    answer = server.call(method, f"{ROOT}{path}", body, ADMIN)
    assert answer.status == 200, answer.body
    return answer.json()


def open_models(visit: Visiting, server: ServerProcess, tab: str = "installed", **options: Any) -> Visit:
    """Open a tab of the view as an administrator."""
    seen = visit(server, **options)
    seen.sign_in_with(admin_key=ADMIN_KEY, address=f"#/models/{tab}")
    seen.page.get_by_role("tablist").wait_for()
    return seen


def pull(seen: Visit, reference: str) -> Any:
    """Type a reference in and pull it; return the job's row."""
    seen.page.get_by_label("Name or reference").fill(reference)
    seen.find("button", "Pull").click()
    job = seen.page.locator("li.job")
    job.wait_for()
    return job


def install(server: ServerProcess) -> None:
    """Pull the hub's model."""
    job = ask(server, "POST", "/pulls", {"reference": f"hf:{REPO}", "optimize": False})
    server.wait("it is installed", lambda: ask(server, "GET", f"/pulls/{job['id']}")["status"] == "completed")


def test_a_pull_is_paused_interrupted_and_resumed(hub: FakeHub, visit: Visiting, tmp_path: Path, smollm2: Path) -> None:
    """A pull shows its progress, is paused and resumed by hand, survives its server and is resumed from its bytes."""
    flags, port = make_home(tmp_path / "home", smollm2), free_port()
    settings = {"ADMIN_KEY": ADMIN_KEY, "HF_ENDPOINT": hub.url}
    hub.stalls = threading.Event()
    with running(tmp_path / "log", *flags, port=port, **settings) as server:
        seen = open_models(visit, server, "catalogue")
        job = pull(seen, f"hf:{REPO}")
        job.get_by_text("49 MB of 98 MB").wait_for()
        assert 0.4 < job.get_by_role("progressbar").evaluate("bar => bar.value") < 0.6
        job.get_by_role("button", name="Pause").click()
        job.get_by_text("Paused · 49 MB of 98 MB").wait_for()
        seen.page.reload()
        job.get_by_role("button", name="Resume").click()
        job.get_by_text("74 MB of 98 MB").wait_for()
        children = server.workers()
        os.kill(server.pid, signal.SIGKILL)
        assert not psutil.wait_procs(children, 20)[1]
        seen.page.get_by_text("The server does not answer. Trying again…").wait_for()
    hub.stalls.set()
    hub.stalls = None
    with running(tmp_path / "log", *flags, port=port, **settings):
        job.get_by_text("Interrupted, because the server ended").wait_for()
        job.get_by_role("button", name="Resume").click()
        seen.page.get_by_text(f"{PULLED} is installed.").wait_for()
        job.wait_for(state="detached")
        seen.find("tab", "Installed (2)").click()
        seen.find("listitem", PULLED).wait_for()
    assert int(hub.gets("resolve")[-1]["range"].removeprefix("bytes=").rstrip("-")) > 70_000_000


def test_a_failed_pull_says_why(managed: ServerProcess, visit: Visiting) -> None:
    """A pull that fails shows the server's reason and can be tried again or dismissed; a wrong name is refused."""
    seen = open_models(visit, managed, "catalogue")
    seen.page.get_by_label("Name or reference").fill("nothing-like-this")
    seen.find("button", "Pull").click()
    seen.page.locator(".field-error").wait_for()
    assert "nothing-like-this" in seen.page.locator(".field-error").inner_text()
    job = pull(seen, "hf:org/Missing-GGUF")
    job.locator(".job-error").wait_for()
    [listed] = [each for each in ask(managed, "GET", "/pulls")["data"] if each["status"] == "failed"]
    assert job.locator(".job-error").inner_text() == listed["error"]["message"].replace("`", "")
    assert job.get_by_role("button", name="Try again").is_visible()
    job.get_by_role("button", name="Dismiss").click()
    job.wait_for(state="detached")


def test_a_model_is_unloaded_and_loaded(managed: ServerProcess, visit: Visiting) -> None:
    """The buttons unload a model, which ends its worker, and load it again."""
    ask(managed, "POST", f"/{INSTALLED}/load")
    seen = open_models(visit, managed)
    row = seen.find("listitem", INSTALLED)
    row.get_by_role("button", name=f"Unload {INSTALLED}").click()
    row.get_by_text("Not loaded").wait_for()
    assert ask(managed, "GET", f"/{INSTALLED}")["loaded"] is False
    row.get_by_role("button", name=f"Load {INSTALLED}").click()
    row.get_by_text("Loaded", exact=True).wait_for()
    assert ask(managed, "GET", f"/{INSTALLED}")["loaded"] is True


def test_a_model_is_described(managed: ServerProcess, visit: Visiting) -> None:
    """The details of a model name its license, window and abilities; Escape closes them."""
    seen = open_models(visit, managed)
    seen.find("button", INSTALLED).click()
    details = seen.page.get_by_role("dialog")
    text = details.inner_text()
    model = ask(managed, "GET", f"/{INSTALLED}")
    assert model["licence"] in text
    assert f"{model['context_window']:,}" in text
    assert "chat" in text
    seen.page.keyboard.press("Escape")
    details.wait_for(state="detached")


def test_a_model_is_deleted_after_a_question(managed: ServerProcess, hub: FakeHub, visit: Visiting) -> None:
    """Deleting asks first. While the model answers, the server's refusal is shown and can be overruled."""
    assert hub.stalls is None
    install(managed)
    seen = open_models(visit, managed)
    wish = {"model": PULLED, "prompt": "Once upon a time", "max_tokens": 2000, "min_tokens": 2000}
    answer = threading.Thread(target=managed.call, args=("POST", "/v1/completions", wish))
    answer.start()
    managed.wait("it answers", lambda: ask(managed, "GET", f"/{PULLED}")["in_use"])
    row = seen.find("listitem", PULLED)
    row.get_by_role("button", name=f"More about {PULLED}").click()
    seen.find("menuitem", "Delete").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Delete").click()
    dialog.get_by_text("answers 1 requests").wait_for()
    dialog.get_by_role("button", name="Delete, requests fail").click()
    row.wait_for(state="detached")
    answer.join(30)
    assert managed.call("GET", f"{ROOT}/{PULLED}", headers=ADMIN).status == 404


def test_an_optimization_is_cancelled_after_a_question(managed: ServerProcess, hub: FakeHub, visit: Visiting) -> None:
    """An optimization is started in a chosen layout, is listed while it runs, and is cancelled after a question."""
    assert hub.stalls is None
    install(managed)
    seen = open_models(visit, managed)
    seen.find("button", f"More about {PULLED}").click()
    seen.find("menuitem", "Optimize").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("8 bits (q8_0)").check()
    dialog.get_by_role("button", name="Optimize").click()
    job = seen.find("listitem", f"Optimize {PULLED}")
    job.get_by_role("button", name="Cancel this job").click()
    dialog.get_by_role("button", name="Continue").click()
    assert job.is_visible()
    job.get_by_role("button", name="Cancel this job").click()
    dialog.get_by_role("button", name="Cancel the job").click()
    job.wait_for(state="detached")
    [listed] = ask(managed, "GET", "/optimizations")["data"]
    assert (listed["status"], listed["layout"]) == ("cancelled", "q8_0")


def test_an_alias_is_edited_and_used(managed: ServerProcess, hub: FakeHub, visit: Visiting) -> None:
    """A name that is edited in the page stands for the other model at once, and is reset to its built-in meaning."""
    assert hub.stalls is None
    install(managed)
    seen = open_models(visit, managed, "aliases")
    row = seen.find("listitem", "gpt-4")
    row.get_by_role("button", name="Edit gpt-4").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_label("Model").select_option(PULLED)
    dialog.get_by_role("button", name="Save").click()
    row.get_by_text(f"→ {PULLED}").wait_for()
    wish = {"model": "gpt-4", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
    assert managed.call("POST", "/v1/chat/completions", wish).headers["x-homeport-model"] == PULLED
    row.get_by_role("button", name="Reset gpt-4 to its built-in meaning").click()
    row.get_by_text("Edited").wait_for(state="detached")
    seen.find("button", "Add an alias").click()
    dialog.get_by_label("Name").fill("has spaces")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("alert").get_by_text("cannot be an alias").wait_for()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_view_fits_a_phone_and_everybody(managed: ServerProcess, visit: Visiting, color_scheme: str) -> None:
    """On a phone no part is wider than the screen, with long names too, and axe-core finds nothing serious."""
    long_name = "a-long-name-" + "x" * 116
    ask(managed, "PUT", f"/aliases/{long_name}", {"target": INSTALLED})
    seen = open_models(visit, managed, size=PHONE, color_scheme=color_scheme)
    for tab, row in (("Catalogue", "qwen3-4b"), ("Aliases", long_name), ("Installed", INSTALLED)):
        seen.page.get_by_role("tab", name=tab).click()
        seen.find("listitem", row).wait_for()
        assert not seen.is_sideways(), tab
        assert seen.accessibility_faults() == [], tab
    seen.find("button", f"More about {INSTALLED}").click()
    seen.find("menuitem", "Optimize").click()
    assert seen.accessibility_faults() == []


def test_the_catalogue_is_searched(managed: ServerProcess, visit: Visiting) -> None:
    """With the keyboard to the catalogue, where words and kinds choose among the models; no match says so."""
    seen = open_models(visit, managed)
    seen.page.get_by_role("tab", name="Installed").focus()
    seen.page.keyboard.press("ArrowRight")
    seen.page.locator("[role=tab]:focus").get_by_text("Catalogue").wait_for()
    assert seen.page.evaluate("location.hash") == "#/models/catalogue"
    rows = seen.page.locator("li.model")
    seen.page.get_by_label("Search models").fill("qwen3 14b")
    seen.find("listitem", "qwen3-14b").wait_for()
    assert rows.count() == 1
    seen.page.get_by_role("button", name="Embeddings").click()
    seen.page.get_by_text("Nothing matches.").wait_for()
    seen.page.get_by_role("button", name="All").click()
    seen.find("button", "qwen3-14b").click()
    assert "40,960" in seen.page.get_by_role("dialog").inner_text()


def test_a_model_that_does_not_fit_is_not_pulled_by_accident(managed: ServerProcess, visit: Visiting) -> None:
    """A model that is larger than the memory is marked, with the numbers, and pulled only after a question."""
    name, library = "qwen3-4b", ask(managed, "GET", "")
    [model] = [each for each in library["data"] if each["id"] == name]
    model |= {"fits": False, "fitting_window": 0, "memory_bytes": 9_000_000_000_000}
    seen = visit(managed)
    seen.page.route("http://*/admin/v1/models", lambda route: route.fulfill(json=library))
    seen.sign_in_with(admin_key=ADMIN_KEY, address="#/models/catalogue")
    row = seen.find("listitem", name)
    row.get_by_text("Too large").wait_for()
    row.get_by_role("button", name=f"Pull {name}").click()
    dialog = seen.page.get_by_role("dialog")
    dialog.get_by_text("Needs 9 TB of memory").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    dialog.wait_for(state="detached")
    assert not [each for each in ask(managed, "GET", "/pulls")["data"] if each["model"] == name]
    seen.page.get_by_label("Only what fits").check()
    row.wait_for(state="detached")
