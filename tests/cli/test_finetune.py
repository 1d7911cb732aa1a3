"""`finetune`: what is handed on, what is told, and what an interruption says."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.domain.training import Classification, Hyperparameters, TrainingRequest
from tests.cli.fake_application import FakeApplication


def run(program: FakeApplication, *arguments: str) -> Result:
    return CliRunner().invoke(commands, ["finetune", *arguments], obj=program)


def test_choices_reach_the_program(tmp_path: Path) -> None:
    """Every flag is handed on; what is not given is left to the trainer."""
    file, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    file.touch()
    other.touch()
    program = FakeApplication()
    flags = "--suffix mine --method dpo --epochs 2 --batch-size 3 --learning-rate-multiplier 0.5 --beta 0.2 --seed 7"
    flags += " --classes 2 --positive-class yes --f-beta 0.5 --f-beta 2"
    given = [*flags.split(), "--prompt-loss-weight", "0.1", "--validation", str(other)]
    assert run(program, str(file), "--model", "small", *given).exit_code == 0
    assert run(program, str(file), "--model", "small").exit_code == 0
    chosen = Hyperparameters("dpo", 2, 3, 0.5, 0.1, 0.2, 7, Classification(2, "yes", (0.5, 2.0)))
    orders = [order for call, order in program.calls if call == "finetune"]
    assert orders == [TrainingRequest("small", file, other, "mine", chosen), TrainingRequest("small", file)]


def test_it_tells_what_came_of_it(tmp_path: Path) -> None:
    """The new model's name is printed with the command that asks it; JSON has every step's measures."""
    file = tmp_path / "a.jsonl"
    file.touch()
    result = run(FakeApplication(), str(file), "--model", "small")
    assert result.stdout == (
        "ft:small:homeport:mine:1 is installed. Ask it: homeport run --model ft:small:homeport:mine:1\n"
    )
    assert "2 examples, 20 tokens, 1 epochs in steps of 1, going on from step 1" in result.stderr
    assert "step 2: loss 0.500, on the validation file 0.750, accuracy 0.875" in result.stderr
    said = json.loads(run(FakeApplication(), str(file), "--model", "small", "--json").stdout)
    assert (said["model"], said["parent"]) == ("ft:small:homeport:mine:1", "small")
    assert [step["train_loss"] for step in said["steps"]] == [0.5]


def test_an_interruption_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C tells that nothing is lost; a file that is not there is named."""
    file = tmp_path / "a.jsonl"
    file.touch()
    result = run(FakeApplication(), str(file), "--model", "slow")
    assert result.exit_code != 0
    assert "the same command goes on" in result.stderr
    assert run(FakeApplication(), str(tmp_path / "none"), "--model", "small").exit_code == 2
