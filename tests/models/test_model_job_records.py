"""Records of model jobs in the home folder."""

from pathlib import Path

import pytest

from homeport.domain.errors import ErrorInfo
from homeport.domain.model_jobs import ModelJob
from homeport.domain.weight_layouts import OptimizeResult, Speed, Trial
from homeport.models.model_job_records import FOLDER, ModelJobFiles


def test_jobs_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A record holds every field, and all are returned with the oldest first."""
    trial = Trial("q8_0", Speed(2, 2, 2), Speed(1, 1, 1), 5)
    result = OptimizeResult("tiny", "q8_0", is_changed=True, trials=(trial,))
    error = ErrorInfo("Unavailable", "no", code="disk_full")
    new = ModelJob(id="pull_b", task="pull", reference="hf:org/b", created_at=2, status="failed", error=error)
    old = ModelJob(id="optimize_z", task="optimize", reference="tiny", created_at=1, result=result)
    for job in (new, old):
        ModelJobFiles(tmp_path).save(job)
    assert ModelJobFiles(tmp_path).load() == [old, new]
    ModelJobFiles(tmp_path).remove(old.id)
    ModelJobFiles(tmp_path).remove(old.id)
    assert ModelJobFiles(tmp_path).load() == [new]


def test_a_broken_record_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A record that cannot be read is reported and hides no other; without a folder there are none."""
    records = ModelJobFiles(tmp_path)
    assert records.load() == []
    job = ModelJob(id="pull_b", task="pull", reference="hf:org/b")
    records.save(job)
    (tmp_path / FOLDER / "pull_a.json").write_bytes(b"{")
    assert records.load() == [job]
    assert "pull_a.json is ignored" in caplog.text
