"""Both sets of kernels, or those of the option `--kernels`."""

import os
import shutil
from pathlib import Path

import platformdirs
import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With the option, which replaces both sets, run each test once."""
    if config.getoption("--kernels"):
        items[:] = [item for item in items if not _is_of_installed_kernels(item)]


def _is_of_installed_kernels(item: pytest.Item) -> bool:
    return (
        isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.callspec.params.get("library") == "npm"
    )


@pytest.fixture(scope="session", params=["wheel", pytest.param("npm", marks=pytest.mark.weights)])
def library(request: pytest.FixtureRequest) -> Path | None:
    """The path of kernels: the wheel's (None), the folder that `homeport kernels install` fills, or the option's."""
    if given := request.config.getoption("--kernels"):
        return Path(str(given))
    if request.param == "wheel":
        return None
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    folder = home / "kernels" / "cpu"
    if not folder.is_dir():
        if shutil.which("npm"):
            pytest.fail(f"no kernels in {folder}: run `make setup`")
        pytest.skip(f"no kernels in {folder}, and no npm here to fetch them")
    return folder
