"""Names and folders of training runs from the command line."""

from pathlib import Path

import msgspec
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.training import Hyperparameters, TrainingRequest
from homeport.training.local_run import run_id


def test_the_same_request_has_the_same_id(tmp_path: Path) -> None:
    """The id follows from the files' contents, the weights and the options, and from nothing else."""
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    request = TrainingRequest("m", tmp_path / "a")
    first = run_id(request, "digest")
    assert first == run_id(msgspec.structs.replace(request, training_file=tmp_path / "b"), "digest")
    others = {run_id(request, "other"), run_id(msgspec.structs.replace(request, suffix="x"), "digest")}
    others.add(run_id(msgspec.structs.replace(request, hyperparameters=Hyperparameters(seed=1)), "digest"))
    others.add(run_id(msgspec.structs.replace(request, validation_file=tmp_path / "b"), "digest"))
    assert len(others | {first}) == 5
    with pytest.raises(InvalidRequest, match="cannot be read"):
        run_id(TrainingRequest("m", tmp_path / "none"), "digest")
