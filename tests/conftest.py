"""Fixtures every room's tests share: where the real weights are."""

import os
from collections.abc import Callable, Mapping
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


def _files(name: str) -> Mapping[str, Path]:
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    found = Store(home, ORIGINAL).find(name)
    if found is None:
        pytest.fail(f"{name} is not installed: run `make setup`")
    return found.files


def _weights(name: str) -> Path:
    return _files(name)["weights"]


@pytest.fixture(scope="session")
def kokoro() -> Mapping[str, Path]:
    """The speech model's files by role, as `make setup` fetched them."""
    return _files("kokoro-82m")


@pytest.fixture(scope="session")
def whisper() -> Mapping[str, Path]:
    """The transcription model's files by role, as `make setup` fetched them."""
    return _files("whisper-base")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The small model's weights, as `make setup` fetched them."""
    return _weights("smollm2-135m")


@pytest.fixture(scope="session")
def qwen() -> Path:
    """The default text model's weights, as `make setup` fetched them."""
    return _weights("qwen2.5-coder-0.5b")
