"""A browser and the servers that it visits. Without Chromium or its client, the tests of the page are skipped."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.operations import NullProgress
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.system.page.visits import Visit, VisitOptions, open_visit
from tests.system.server import ServerProcess, running

CHROMIUM = shutil.which("chromium")
KEY = "page-test-key"
ADMIN_KEY = "page-test-admin-key"
Visiting = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a window, and with a microphone that plays a tone."""
    client = pytest.importorskip("playwright.sync_api", reason="Playwright's client is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with client.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Visiting]:
    """Return a function that visits a server's page. At the end, no visit may have seen a fault."""
    visits: list[Visit] = []

    def begin(server: ServerProcess, address: str = "", **options: Any) -> Visit:
        visits.append(open_visit(browser, f"http://127.0.0.1:{server.port}/{address}", VisitOptions(**options)))
        return visits[-1]

    yield begin
    faults = [fault for each in visits for fault in each.faults]
    for each in visits:
        each.page.context.close()
    assert not faults


@pytest.fixture(scope="session")
def keyed_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server that needs a key, with an admin key."""
    folder = tmp_path_factory.mktemp("keyed_server")
    assert smollm2.exists()
    with running(folder / "log", "--model", "smollm2-135m", API_KEYS=KEY, ADMIN_KEY=ADMIN_KEY) as started:
        yield started


@pytest.fixture(scope="session")
def picture_server(
    tmp_path_factory: pytest.TempPathFactory,
    multilingual_e5: Path,
    glance: Mapping[str, Path],
    moderation: Mapping[str, Path],
) -> Iterator[ServerProcess]:
    """A server with the bundled image model, installed offline, and the models of embeddings and moderation."""
    folder = tmp_path_factory.mktemp("picture_server")
    store = ModelStore(folder / "home")
    for weights in (multilingual_e5, glance["weights"], moderation["weights"]):
        linked = store.folder(weights.parent.name)
        linked.parent.mkdir(parents=True, exist_ok=True)
        linked.symlink_to(weights.parent, target_is_directory=True)
    pull("homeport-emoji-128", store, PullOptions(offline=True), NullProgress())
    with running(folder / "log", HOME=str(folder / "home")) as started:
        yield started


@pytest.fixture(scope="session")
def operated_server(tmp_path_factory: pytest.TempPathFactory, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with an admin key, on a home of its own with the installed models: tests create keys on it."""
    folder = tmp_path_factory.mktemp("operated_server")
    (folder / "models").symlink_to(smollm2.parent.parent)
    options = ("--home", str(folder), "--model", "smollm2-135m")
    with running(folder / "log", *options, ADMIN_KEY=ADMIN_KEY, RETAIN="0") as started:
        yield started
