"""`finetune`: its call, its output, and its message after an interruption."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from homeport.cli import commands
from homeport.domain.training import Classification, Hyperparameters, TrainingRequest
from tests.cli.fake_application import FakeApplication


def run(program: FakeApplication, *arguments: str) -> Result:
    return CliRunner().invoke(commands, ["finetune", *arguments], obj=program)


def test_options_are_passed_on(tmp_path: Path) -> None:
    """Every flag is passed on; the trainer chooses what is not given."""
    file, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    file.touch()
    other.touch()
    program = FakeApplication()
    flags = "--suffix mine --method dpo --epochs 2 --batch-size 3 --learning-rate-multiplier 0.5 --beta 0.2 --seed 7"
    flags += " --classes 2 --positive-class yes --f-beta 0.5 --f-beta 2"
    arguments = [*flags.split(), "--prompt-loss-weight", "0.1", "--validation", str(other)]
    assert run(program, str(file), "--model", "small", *arguments).exit_code == 0
    assert run(program, str(file), "--model", "small").exit_code == 0
    chosen = Hyperparameters("dpo", 2, 3, 0.5, 0.1, 0.2, 7, Classification(2, "yes", (0.5, 2.0)))
    requests = [request for call, request in program.calls if call == "finetune"]
    assert requests == [TrainingRequest("small", file, other, "mine", chosen), TrainingRequest("small", file)]


def test_the_result_is_printed(tmp_path: Path) -> None:
    """The new model's name is printed with a command to try it; JSON has the metrics of every step."""
    file = tmp_path / "a.jsonl"
    file.touch()
    result = run(FakeApplication(), str(file), "--model", "small")
    assert result.stdout == ("ft:small:homeport:mine:1 is installed. Try it: homeport run ft:small:homeport:mine:1\n")
    assert "2 examples, 20 tokens, 1 epochs in steps of 1, resuming at step 1" in result.stderr
    assert "step 2: loss 0.500, validation loss 0.750, accuracy 0.875" in result.stderr
    printed = json.loads(run(FakeApplication(), str(file), "--model", "small", "--json").stdout)
    assert (printed["model"], printed["parent"]) == ("ft:small:homeport:mine:1", "small")
    assert [step["train_loss"] for step in printed["steps"]] == [0.5]


def test_an_interruption_says_how_to_resume(tmp_path: Path) -> None:
    """After Ctrl-C the same command resumes; a missing file is a usage error."""
    file = tmp_path / "a.jsonl"
    file.touch()
    result = run(FakeApplication(), str(file), "--model", "slow")
    assert result.exit_code != 0
    assert "Rerun the same command to resume." in result.stderr
    assert run(FakeApplication(), str(tmp_path / "none"), "--model", "small").exit_code == 2
