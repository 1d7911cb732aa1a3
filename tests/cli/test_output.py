"""The output of commands, in which control characters from outside are escaped."""

import io
import re
from pathlib import Path

import click
import pytest
from rich.console import Console

from homeport.cli import options, output
from homeport.domain.errors import InvalidRequest

EVIL = "evil\x1b]0;mine\x07\x9b2J\u202e"
SHOWN = "evil\\x1b]0;mine\\x07\\x9b2J\\u202e"


def is_plain(text: str) -> bool:
    """Whether no control character is in what was printed, but for line ends."""
    return re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text) is None


def test_output_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are escaped in lines, tables and JSON, and a cell stays in its row."""
    output.echo(EVIL)
    output.print_table(["NAME", "KEY"], [[f"{EVIL}\n", "b"]])
    output.print_json({"name": EVIL})
    printed = capsys.readouterr().out
    assert is_plain(printed)
    assert printed.splitlines()[:3] == [SHOWN, f"NAME{' ' * (len(SHOWN) + 2)}KEY", f"{SHOWN}\\x0a  b"]
    assert '"name": "evil\\u001b]0;mine\\u0007\\u009b2J\\u202e"' in printed


def test_progress_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's name and messages are printed without control characters and without interpreting markup."""
    written = io.StringIO()
    monkeypatch.setattr(output, "Console", lambda **_: Console(file=written, width=200))
    with output.progress(f"[red]{EVIL}") as bar:
        bar.message(f"[red]{EVIL}")
    with output.steps(f"[red]{EVIL}") as steps:
        steps.message(EVIL)
        steps.reach(1, 2, EVIL)
    assert is_plain(written.getvalue())
    assert f"[red]{SHOWN}" in written.getvalue()


def test_errors_are_escaped() -> None:
    """Control characters in an error's message are escaped."""

    @click.group(cls=options.Commands)
    def group() -> None:
        """Commands."""

    @group.command()
    def fail() -> None:
        raise InvalidRequest(EVIL)

    with pytest.raises(click.ClickException) as shown:
        group.main(["fail"], standalone_mode=False)
    assert shown.value.message == SHOWN


@pytest.mark.parametrize("path", sorted(Path(output.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_only_output_prints(path: Path) -> None:
    """No module but `output` prints."""
    source = path.read_text("utf-8")
    assert path.name == "output.py" or not re.search(r"click\.s?echo\(|(?<!\w)print\(", source)
