"""Choosing a model: the sizes of a family, the catalogue, the default model, the larger one that `serve` offers."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.client.runfile import RunningServer
from homeport.domain.model_choices import DefaultModel, ModelOffer
from homeport.domain.models import InstalledModel, ModelFacts
from tests.cli.fake_application import SMALL, FakeApplication
from tests.cli.scripted_server import ScriptedServer

TINY = InstalledModel(ModelFacts("tiny", "text", "text"), {}, "d2")


@pytest.fixture
def program() -> FakeApplication:
    return FakeApplication()


def run(program: FakeApplication, *arguments: str) -> Result:
    return CliRunner().invoke(commands, list(arguments), obj=program)


def calls(program: FakeApplication, *names: str) -> list[tuple[str, object]]:
    return [call for call in program.calls if call[0] in names]


def test_pulling_a_family_lists_its_sizes(program: FakeApplication) -> None:
    """The name of a family pulls nothing: its sizes are listed with what fits, and the largest that fits is marked."""
    result = run(program, "pull", "big")
    assert result.exit_code == 0, result.output
    assert calls(program, "pull_model") == []
    head, *rows = [line.split() for line in result.stdout.splitlines()[:4]]
    assert head == ["MODEL", "FILE", "MEMORY", "WINDOW", "FITS", "TOOLS", "REASONING"]
    assert [row[0] for row in rows] == ["big-1b", "big-3b", "big-8b"]
    assert rows[0][1:] == ["1.0", "GB", "2.0", "GB", "4096", "yes", "qwen", "enable_thinking", "untested"]
    assert " ".join(rows[1][5:]) == "8192 6144 tokens qwen none largest that fits, untested"
    assert " ".join(rows[2][5:]) == "4096 no qwen enable_thinking untested"
    assert "4.5 GB of this machine's 8.0 GB" in result.stdout
    assert "`homeport pull big-3b`" in result.stdout


def test_families_and_models_can_be_named_together(program: FakeApplication) -> None:
    """`pull` lists each family and pulls each model; `--json` prints both as JSON."""
    result = run(program, "pull", "big", "small")
    assert calls(program, "pull_model") == [("pull_model", "small")]
    assert "big-8b" in result.stdout
    assert result.stdout.endswith("small is installed (98 MB)\n")
    printed = json.loads(run(program, "pull", "big", "small", "--json").stdout)
    assert [model["name"] for model in printed] == ["big-1b", "big-3b", "big-8b", "small"]
    assert (printed[1]["fitting_window"], printed[1]["tools"]) == (6144, "qwen")


def test_the_catalogue_folds_families(program: FakeApplication) -> None:
    """`list --catalogue` prints a row for each family with its sizes, and one for each other model."""
    rows = [line.split("  ") for line in run(program, "list", "--catalogue").stdout.splitlines()]
    by_name = {row[0].strip(): [cell.strip() for cell in row[1:] if cell.strip()] for row in rows[1:4]}
    assert by_name["big"] == ["text", "1b, 3b, 8b", "1.0 GB - 5.0 GB", "qwen", "enable_thinking, none"]
    assert by_name["small"] == ["text", "-", "98 MB", "-", "-"]
    assert by_name["listener"] == ["transcription", "-", "unknown", "-", "-"]
    assert len(json.loads(run(program, "list", "--catalogue", "--json").stdout)) == 5


def test_use_records_an_installed_model(program: FakeApplication, tmp_path: Path) -> None:
    """`use MODEL` makes an installed model the default without pulling it."""
    result = run(program, "use", "small", "--home", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert calls(program, "pull_model", "record_default_model") == [("record_default_model", "small")]
    assert result.stdout == "small is the default model now\n"


def test_use_pulls_a_missing_model_and_says_its_size(program: FakeApplication, tmp_path: Path) -> None:
    """`use` says the size of a missing model, pulls it and then makes it the default."""
    program.present = []
    result = run(program, "use", "small", "--home", str(tmp_path))
    assert "small is not installed (98 MB)." in result.stderr
    assert calls(program, "pull_model", "record_default_model") == [
        ("pull_model", "small"),
        ("record_default_model", "small"),
    ]
    assert json.loads(run(program, "use", "small", "--home", str(tmp_path), "--json").stdout)["name"] == "small"


@pytest.mark.parametrize(
    ("name", "says"), [("big", "choose one of big-1b, big-3b, big-8b"), ("absent", "no model is called absent")]
)
def test_use_refuses_families_and_unknown_names(program: FakeApplication, tmp_path: Path, name: str, says: str) -> None:
    """The name of a family and that of a model which cannot be pulled are errors, and nothing is recorded."""
    result = run(program, "use", name, "--home", str(tmp_path))
    assert result.exit_code == 1
    assert says in result.stderr
    assert calls(program, "record_default_model") == []


@pytest.mark.parametrize(("answer", "is_pulled"), [("y\n", True), ("\n", True), ("n\n", False)])
def test_use_asks_on_a_terminal(
    program: FakeApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, is_pulled: bool
) -> None:
    """On a terminal `use` asks before it pulls, and `--yes` answers in advance."""
    monkeypatch.setattr("homeport.cli.use._is_interactive", lambda: True)
    program.present = []
    arguments = ["use", "small", "--home", str(tmp_path)]
    result = CliRunner().invoke(commands, arguments, obj=program, input=answer)
    assert "Pull it now?" in result.stderr
    assert (result.exit_code == 0) is is_pulled
    assert bool(calls(program, "pull_model")) is bool(calls(program, "record_default_model")) is is_pulled
    assert "Pull it now?" not in run(program, *arguments, "--yes").stderr


def test_use_shows_the_current_default(program: FakeApplication, tmp_path: Path) -> None:
    """Without a model, `use` prints the default one and why it is that one; without any, what to do."""
    assert run(program, "use", "--home", str(tmp_path)).stdout == "small (no other was chosen)\n"
    assert calls(program, "record_default_model") == []
    assert json.loads(run(program, "use", "--home", str(tmp_path), "--json").stdout)["reason"] == "no other was chosen"
    program.default = None
    assert "No text model is installed" in run(program, "use", "--home", str(tmp_path)).stdout


@pytest.mark.parametrize(("name", "says"), [("small", "uses it from its next request on"), ("tiny", "keeps small")])
def test_use_says_whether_a_running_server_follows(
    program: FakeApplication, server: ScriptedServer, running: RunningServer, tmp_path: Path, name: str, says: str
) -> None:
    """A running server is asked which model OpenAI's names stand for: it follows, or must be restarted."""
    assert running.is_alive
    program.present = [SMALL, TINY]
    result = run(program, "use", name, "--home", str(tmp_path))
    assert says in result.output
    assert ("GET", "/v1/models/gpt-4") in [request[:2] for request in server.requests]


def test_use_warns_about_a_setting_that_comes_first(program: FakeApplication, tmp_path: Path) -> None:
    """If a setting names another model, `use` records the choice and says that the setting comes first."""
    program.record_default_model = lambda *_: None  # type: ignore[method-assign]
    program.default = DefaultModel("other", "the setting default_model")
    result = run(program, "use", "small", "--home", str(tmp_path))
    assert "the setting default_model names other, which comes first" in result.stderr


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        (
            ModelOffer("big-1b", 10**9),
            "  larger   big-1b (1.0 GB) answers better; to make it the default: homeport use",
        ),
        (ModelOffer("big-1b", 10**9, is_installed=True), "  larger   big-1b (installed) answers better"),
    ],
)
def test_serve_offers_a_larger_model(program: FakeApplication, offer: ModelOffer, says: str) -> None:
    """`serve` prints one line about a larger model with its size, and switches to nothing by itself."""
    program.offer = offer
    result = run(program, "serve")
    assert says in result.stdout
    assert calls(program, "pull_model", "record_default_model") == []


def test_serve_offers_nothing_if_there_is_nothing_larger(program: FakeApplication) -> None:
    """Without a larger model, no line is printed."""
    assert "larger" not in run(program, "serve").stdout
