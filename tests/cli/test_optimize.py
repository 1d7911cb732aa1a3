"""`optimize`, and what a fetch does by itself."""

import json

from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.domain.weight_layouts import OptimizeOptions
from tests.cli.fake_application import FakeApplication


def run(program: FakeApplication, *arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(commands, list(arguments), obj=program, env=env)


def wishes(program: FakeApplication) -> list[object]:
    return [argument for call, argument in program.calls if call == "optimise"]


def test_optimize_says_what_was_tried_and_chosen() -> None:
    """It prints a line for each layout and what is used now; a lossier, faster one is left to the user."""
    result = run(FakeApplication(), "optimize", "small")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("q4_0: 2.4")
    assert "perplexity 18.00 -> 21.00 (+16.67%)" in lines[0]
    assert lines[-1] == "small: the layout q8_0 is now used"
    assert "q4_0 would be 2.5 x as fast, at a price (perplexity +16.7%)" in result.stderr
    assert "homeport optimize small --layout q4_0" in result.stderr


def test_optimize_hands_on_what_is_asked() -> None:
    """A named layout and a dry run reach the program; a dry run says that nothing changed."""
    program = FakeApplication()
    assert run(program, "optimize", "small", "--layout", "q4_0").exit_code == 0
    result = run(program, "optimize", "small", "--dry-run", "--json")
    assert wishes(program) == [("small", OptimizeOptions("q4_0")), ("small", OptimizeOptions(is_dry=True))]
    assert json.loads(result.stdout)["is_changed"] is False


def test_starters_are_optimised_when_first_fetched() -> None:
    """A starter not yet here is laid out after its fetch, unless the setting is off; others only where asked."""
    program = FakeApplication()
    program.starters, program.present = ["small"], []
    assert run(program, "pull", "small").exit_code == 0
    assert wishes(program) == [("small", OptimizeOptions())]
    run(program, "pull", "small", env={"HOMEPORT_OPTIMIZE": "off"})
    program.starters = []
    run(program, "pull", "small")
    assert len(wishes(program)) == 1
    run(program, "pull", "small", "--optimize")
    assert len(wishes(program)) == 2


def test_a_starter_that_is_here_is_left_alone() -> None:
    """Pulling an installed starter again measures nothing."""
    program = FakeApplication()
    program.starters = ["small"]
    run(program, "pull", "small")
    assert wishes(program) == []
