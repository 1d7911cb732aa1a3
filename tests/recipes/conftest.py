"""Recipes need PyTorch and ONNX (`make image-test`): without both, only what does without them is collected."""

from importlib.util import find_spec
from pathlib import Path

import pytest

collect_ignore_glob = (
    [] if find_spec("torch") and find_spec("onnx") else ["test_moderation.py", "images", "tunes/test_network.py"]
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests as `training`, so that `make test` skips them, unless they need only what is installed."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents and not _needs_nothing_more(item.path.relative_to(folder)):
            item.add_marker(pytest.mark.training)


def _needs_nothing_more(path: Path) -> bool:
    return path.parts[0] == "glance" or (path.parts[0] == "tunes" and path.name != "test_network.py")
