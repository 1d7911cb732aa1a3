"""Fixtures every room's tests share: where the real weights are."""

import os
from pathlib import Path

import platformdirs
import pytest


def _weights(name: str) -> Path:
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    found = sorted((home / "models" / name).glob("*.gguf"))
    if not found:
        pytest.fail(f"{name} is not installed: run `make setup`")
    return found[0]


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The small model's weights, as `make setup` fetched them."""
    return _weights("smollm2-135m")


@pytest.fixture(scope="session")
def qwen() -> Path:
    """The default text model's weights, as `make setup` fetched them."""
    return _weights("qwen2.5-coder-0.5b")
