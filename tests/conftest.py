"""Fixtures that the tests of all packages share: where the installed weights are."""

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import platformdirs
import psutil
import pytest

from homeport.domain.child_environment import limit_thread_spinning
from homeport.domain.weight_layouts import ORIGINAL
from homeport.models.model_store import ModelStore

Scale = Callable[[int, int], int]
NewChildren = Callable[[], list[psutil.Process]]
WEIGHT_FIXTURES = {
    "kokoro",
    "smollm2",
    "qwen",
    "moderation",
    "multilingual_e5",
    "glance",
    "whisper",
    "tunes",
    "installed",
}
ONE_MACHINE = "on one machine only: "
SYSTEM_TESTS = Path(__file__).parent / "system"
limit_thread_spinning()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options: lengths of soak tests, pages that are written, other kernels, and servers on a cluster."""
    parser.addoption("--full", action="store_true", help="run the soak tests at full length")
    parser.addoption("--write-pages", action="store_true", help="write the pages of docs/ that tests generate")
    parser.addoption("--kernels", metavar="FOLDER", help="test these kernels instead of the wheel's and the installed")
    parser.addoption("--cluster", action="store_true", help="run the models of tests/system on three nodes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as `weights` each test that requests a fixture of installed files, and each system test.

    With `--cluster`, skip the tests of one machine.
    """
    for item in items:
        if config.getoption("--cluster") and (found := item.get_closest_marker("one_machine")):
            item.add_marker(pytest.mark.skip(reason=f"{ONE_MACHINE}{found.args[0]}"))
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & WEIGHT_FIXTURES or SYSTEM_TESTS in item.path.parents:
            item.add_marker(pytest.mark.weights)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With `--cluster`, print how many tests of one machine were left out, and why."""
    if not config.getoption("--cluster"):
        return
    reasons = [report.longrepr[2].partition(ONE_MACHINE)[2] for report in terminalreporter.getreports("skipped")]
    counts = Counter(reason for reason in reasons if reason)
    terminalreporter.write_sep("=", f"{counts.total()} tests of one machine left out")
    for reason, count in sorted(counts.items()):
        terminalreporter.write_line(f"{count:4} {reason}")


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    """Return the first of two lengths, or the second with `--full`."""
    full = bool(request.config.getoption("--full"))
    return lambda short, long: long if full else short


def live_children() -> set[psutil.Process]:
    """Return the child processes of this process that have not ended."""
    return {child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture
def new_children() -> NewChildren:
    """Return a function that lists the live child processes started since, oldest first: other tests may have some."""
    before = live_children()
    return lambda: sorted(live_children() - before, key=lambda child: child.pid)


@pytest.fixture(scope="module", autouse=True)
def no_process_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that the tests of each module end all processes they started: other modules count theirs.

    System tests share servers, which run until the session ends.
    """
    before = live_children()
    yield
    if SYSTEM_TESTS in request.path.parents:
        return
    if live_children() - before:
        gc.collect()  # ends the processes of objects that a test left in a cycle
    left = live_children() - before
    assert not left, [child.cmdline() for child in left]


def home_folder() -> Path:
    """Return the data folder, where `make setup` installs models and servers publish their run files."""
    return Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))


def _files(name: str) -> Mapping[str, Path]:
    found = ModelStore(home_folder(), ORIGINAL).find(name)
    if found is None:
        pytest.fail(f"{name} is not installed: run `make setup`")
    return found.files


def _weights(name: str) -> Path:
    return _files(name)["weights"]


@pytest.fixture(scope="session")
def kokoro() -> Mapping[str, Path]:
    """The speech model's files by role, as `make setup` installs them."""
    return _files("kokoro-82m")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The small text model's weights, as `make setup` installs them."""
    return _weights("smollm2-135m")


@pytest.fixture(scope="session")
def qwen() -> Path:
    """The default text model's weights, as `make setup` installs them."""
    return _weights("qwen2.5-coder-0.5b")


@pytest.fixture(scope="session")
def moderation() -> dict[str, Path]:
    """The files that a moderation worker gets, by role, as `make setup` installs them."""
    own = _weights("homeport-moderation")
    vectors = _weights("multilingual-e5-small")
    return {
        "weights": own,
        "images": own.with_name("open_nsfw.onnx"),
        "multilingual-e5-small/weights": vectors,
    }


@pytest.fixture(scope="session")
def multilingual_e5() -> Path:
    """The default embedding model's weights, as `make setup` installs them."""
    return _weights("multilingual-e5-small")


@pytest.fixture(scope="session")
def glance() -> Mapping[str, Path]:
    """The files that a worker of the model of images and texts gets, by role, as `make setup` installs them."""
    return {**_files("homeport-glance-256"), "multilingual-e5-small/weights": _weights("multilingual-e5-small")}


@pytest.fixture(scope="session")
def tunes() -> Mapping[str, Path]:
    """The files that a worker of the music model gets, by role, as `make setup` installs them."""
    needed = {
        f"{name}/{role}": path
        for name in ("multilingual-e5-small", "kokoro-82m")
        for role, path in _files(name).items()
    }
    return {**_files("homeport-tunes"), **needed}


@pytest.fixture(scope="session")
def whisper() -> Path:
    """The default transcription model's weights, as `make setup` installs them."""
    return _weights("whisper-base")


@pytest.fixture(scope="session")
def installed(
    qwen: Path,
    multilingual_e5: Path,
    whisper: Path,
    kokoro: Mapping[str, Path],
    moderation: Mapping[str, Path],
    tunes: Mapping[str, Path],
) -> Mapping[str, Path]:
    """One file of the default model of each kind: with all of them installed, every endpoint works."""
    return {
        "text": qwen,
        "embeddings": multilingual_e5,
        "transcription": whisper,
        "speech": kokoro["weights"],
        "moderation": moderation["weights"],
        "music": tunes["weights"],
    }
