"""Fixtures every room's tests share: where the real weights are."""

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest

from homeport.domain.layouts import ORIGINAL
from homeport.models.store import Store
from homeport.settings import share_processors

Scale = Callable[[int, int], int]
share_processors()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two switches: holds at full length, and pages written instead of compared."""
    parser.addoption("--full", action="store_true", help="run the holds of `make soak` at full length")
    parser.addoption("--write-pages", action="store_true", help="write the pages of docs/ that tests make")


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    """Picks the short or the full length of a hold."""
    full = bool(request.config.getoption("--full"))
    return lambda short, long: long if full else short


def home_folder() -> Path:
    """Where `make setup` put what tests use, and where servers without a folder of their own say that they run."""
    return Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))


def _weights(name: str) -> Path:
    found = Store(home_folder(), ORIGINAL).find(name)
    if found is None:
        pytest.fail(f"{name} is not installed: run `make setup`")
    return found.files["weights"]


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The small model's weights, as `make setup` fetched them."""
    return _weights("smollm2-135m")


@pytest.fixture(scope="session")
def qwen() -> Path:
    """The default text model's weights, as `make setup` fetched them."""
    return _weights("qwen2.5-coder-0.5b")


@pytest.fixture(scope="session")
def multilingual_e5() -> Path:
    """The default embedding model's weights, as `make setup` fetched them."""
    return _weights("multilingual-e5-small")
