"""`optimize`, and the optimization after a pull."""

import json

from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.domain.weight_layouts import OptimizeOptions
from tests.cli.fake_application import FakeApplication


def run(program: FakeApplication, *arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(commands, list(arguments), obj=program, env=env)


def optimizations(program: FakeApplication) -> list[object]:
    return [argument for call, argument in program.calls if call == "optimize_model"]


def test_optimize_prints_each_layout_and_the_choice() -> None:
    """A line for each layout and the one in use are printed; a faster, lossier one is suggested."""
    result = run(FakeApplication(), "optimize", "small")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("q4_0: 2.4")
    assert "perplexity 18.00 -> 21.00 (+16.67%)" in lines[0]
    assert lines[-1] == "small: the layout q8_0 is now used"
    assert "q4_0 is 2.5 x as fast, with a loss of quality (perplexity +16.7%)" in result.stderr
    assert "homeport optimize small --layout q4_0" in result.stderr


def test_optimize_passes_options_on() -> None:
    """A named layout and --dry-run are passed on; a dry run changes nothing."""
    program = FakeApplication()
    assert run(program, "optimize", "small", "--layout", "q4_0").exit_code == 0
    result = run(program, "optimize", "small", "--dry-run", "--json")
    assert optimizations(program) == [("small", OptimizeOptions("q4_0")), ("small", OptimizeOptions(is_dry=True))]
    assert json.loads(result.stdout)["is_changed"] is False


def test_models_are_optimized_by_default_when_first_pulled() -> None:
    """A new model of this kind is optimized after its pull, unless the setting is off; others only with --optimize."""
    program = FakeApplication()
    program.optimized_by_default, program.present = ["small"], []
    assert run(program, "pull", "small").exit_code == 0
    assert optimizations(program) == [("small", OptimizeOptions())]
    run(program, "pull", "small", env={"HOMEPORT_OPTIMIZE": "off"})
    program.optimized_by_default = []
    run(program, "pull", "small")
    assert len(optimizations(program)) == 1
    run(program, "pull", "small", "--optimize")
    assert len(optimizations(program)) == 2


def test_an_installed_starter_is_unchanged() -> None:
    """Pulling an installed starter again measures nothing."""
    program = FakeApplication()
    program.optimized_by_default = ["small"]
    run(program, "pull", "small")
    assert optimizations(program) == []
