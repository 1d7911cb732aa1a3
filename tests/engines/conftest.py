"""Both sets of kernels."""

import os
import shutil
from pathlib import Path

import platformdirs
import pytest


@pytest.fixture(scope="session", params=["wheel", pytest.param("npm", marks=pytest.mark.weights)])
def library(request: pytest.FixtureRequest) -> Path | None:
    """The path of kernels: the wheel's (None), or the folder that `homeport kernels install` fills."""
    if request.param == "wheel":
        return None
    home = Path(os.environ.get("HOMEPORT_HOME") or platformdirs.user_data_path("homeport", appauthor=False))
    folder = home / "kernels" / "cpu"
    if not folder.is_dir():
        if shutil.which("npm"):
            pytest.fail(f"no kernels in {folder}: run `make setup`")
        pytest.skip(f"no kernels in {folder}, and no npm here to fetch them")
    return folder
