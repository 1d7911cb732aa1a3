"""A fake hub on loopback, small GGUF files, and a recording progress reporter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.models.model_store import ModelStore
from homeport.models.pull_options import PullOptions
from tests.models.fakes import FakeHub, Recorder


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home")


@pytest.fixture
def progress() -> Recorder:
    return Recorder()


@pytest.fixture
def options(hub: FakeHub) -> PullOptions:
    return PullOptions(hf_endpoint=hub.url, ms_endpoint=hub.url, retry_s=0.0, connect_s=2.0, read_s=5.0)
