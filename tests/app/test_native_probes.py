"""Reports of child processes on chat templates and kernels."""

from pathlib import Path

import pytest

from homeport.app import commands as app
from homeport.app import native_probes
from homeport.domain.errors import Unavailable
from homeport.settings import Settings
from tests.engines.text import families
from tests.models.fakes import Recorder, gguf


@pytest.mark.parametrize(
    ("source", "notes"),
    [
        (
            families.NO_SYSTEM,
            (
                "system messages: put into the user's next message",
                "consecutive messages of one role: merged, separated by a blank line",
                "messages of the role developer: as system messages",
                "rendered in a separate process",
            ),
        ),
        (
            families.DEVELOPER,
            (
                "system messages: accepted unchanged",
                "consecutive messages of one role: accepted unchanged",
                "messages of the role developer: accepted",
                "rendered in a separate process",
            ),
        ),
    ],
)
def test_a_template_is_tried(source: str, notes: tuple[str, ...]) -> None:
    """The report states which messages a chat template accepts and how the others are converted."""
    assert native_probes.report_template(source).notes == notes


def test_a_model_without_a_working_template_says_why(tmp_path: Path) -> None:
    """It is installed without `chat`, and `pull` and `show` state what is wrong with its template."""
    deep = "{% if x %}" * 500 + "{% endif %}" * 500
    for name, template in (("deep", deep), ("fine", families.GENERATION)):
        (tmp_path / f"{name}.gguf").write_bytes(gguf(template=template))
    settings, progress = Settings(home=tmp_path / "home", offline=True), Recorder()
    assert "chat" in app.pull_model(settings, f"file:{tmp_path}/fine.gguf", progress).facts.capabilities
    assert app.pull_model(settings, f"file:{tmp_path}/deep.gguf", progress).facts.capabilities == ("completions",)
    assert "deep cannot be used for chat: The model's chat template is broken" in progress.messages[-1]
    assert "template is broken" in str(app.describe_model(settings, "deep")["template"])


def test_a_probe_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that does not answer in time raises Unavailable."""
    monkeypatch.setattr(native_probes, "_TIMEOUT_S", 0.001)
    for probe in (lambda: native_probes.report_template("x"), lambda: native_probes.describe_kernels(None)):
        with pytest.raises(Unavailable, match="no answer within"):
            probe()
