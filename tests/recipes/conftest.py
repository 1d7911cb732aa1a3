"""Recipes need PyTorch and ONNX (`make image-test`): without both, only the tests of glance are collected."""

from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = [] if find_spec("torch") and find_spec("onnx") else ["test_*.py", "images"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests as `training`, so that `make test` skips them; those of glance need only what is installed."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents and folder / "glance" not in item.path.parents:
            item.add_marker(pytest.mark.training)
