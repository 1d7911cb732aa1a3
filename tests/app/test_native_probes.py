"""Reports of child processes on chat templates and kernels."""

from pathlib import Path

import pytest

from homeport.app import commands as app
from homeport.app import doctor, native_probes
from homeport.domain.errors import Unavailable
from homeport.settings import Settings
from tests.engines.text import families, real_templates
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
                "tools: no place in the template, described in the system message",
                "reasoning: none",
                "rendered in a separate process",
            ),
        ),
        (
            families.DEVELOPER,
            (
                "system messages: accepted unchanged",
                "consecutive messages of one role: accepted unchanged",
                "messages of the role developer: accepted",
                "tools: no place in the template, described in the system message",
                "reasoning: none",
                "rendered in a separate process",
            ),
        ),
    ],
)
def test_a_template_is_tried(source: str, notes: tuple[str, ...]) -> None:
    """The report states which messages a chat template accepts and how the others are converted."""
    assert native_probes.report_template(source).notes == notes


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("qwen2.5", ("tools: qwen (verified)", "reasoning: none")),
        (
            "qwen3",
            ("tools: qwen (verified)", "reasoning: <think> … </think>, switch: enable_thinking"),
        ),
        (
            "ministral-3-reasoning",
            ("tools: mistral (verified)", "reasoning: [THINK] … [/THINK], switch: none"),
        ),
    ],
)
def test_tools_and_reasoning_are_reported(name: str, notes: tuple[str, ...]) -> None:
    """The report names the family of a model's tool calls and the switch of its reasoning."""
    assert set(notes) <= set(native_probes.report_template(real_templates.read(name)).notes)


def test_a_model_without_a_working_template_says_why(tmp_path: Path) -> None:
    """It is installed without `chat`, and `pull` and `show` state what is wrong with its template."""
    deep = "{% if x %}" * 500 + "{% endif %}" * 500
    for name, template in (("deep", deep), ("fine", families.GENERATION)):
        (tmp_path / f"{name}.gguf").write_bytes(gguf(template=template))
    settings, progress = Settings(home=tmp_path / "home", offline=True), Recorder()
    assert "chat" in app.pull_model(settings, f"file:{tmp_path}/fine.gguf", progress).facts.capabilities
    assert app.pull_model(settings, f"file:{tmp_path}/deep.gguf", progress).facts.capabilities == ("completions",)
    assert "deep cannot be used for chat: The model's chat template is broken" in progress.messages[-1]
    described = app.describe_model(settings, "deep")
    assert "template is broken" in str(described["template"])
    assert described["prompts"] == doctor.describe_prompts(settings)


def test_what_computes_prompts_is_described() -> None:
    """With the setting off, it is the kernels."""
    assert "the setting `prompts` is off" in doctor.describe_prompts(Settings(prompts="off"))


def test_a_probe_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe that does not answer in time raises Unavailable."""
    monkeypatch.setattr(native_probes, "_TIMEOUT_S", 0.001)
    for probe in (lambda: native_probes.report_template("x"), lambda: native_probes.describe_kernels(None)):
        with pytest.raises(Unavailable, match="no answer within"):
            probe()


def test_tool_calls_of_an_installed_model_are_checked(tmp_path: Path) -> None:
    """The template comes from the model's file; a model without one, or of another kind, is told apart."""
    for name, template in (("fine", families.MARKED), ("bare", "")):
        (tmp_path / f"{name}.gguf").write_bytes(gguf(template=template))
    settings = Settings(home=tmp_path / "home")
    for name in ("fine", "bare"):
        app.pull_model(settings, f"file:{tmp_path / name}.gguf", Recorder())
    assert app.check_tools(settings, "fine").family == "phi"
    assert app.check_tools(settings, "fine").is_good
    assert app.check_tools(settings, "bare").fault == "The model has no chat template."
