"""What commands print, and that nothing from outside steers the terminal it is printed on."""

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


def test_what_is_printed_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines, tables and JSON show control characters instead of sending them, and a cell stays in its row."""
    output.echo(EVIL)
    output.print_table(["NAME", "KEY"], [[f"{EVIL}\n", "b"]])
    output.print_json({"name": EVIL})
    printed = capsys.readouterr().out
    assert is_plain(printed)
    assert printed.splitlines()[:3] == [SHOWN, f"NAME{' ' * (len(SHOWN) + 2)}KEY", f"{SHOWN}\\x0a  b"]
    assert '"name": "evil\\u001b]0;mine\\u0007\\u009b2J\\u202e"' in printed


def test_progress_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's name, and what is said of it, are neither control characters nor markup of the bar's own."""
    written = io.StringIO()
    monkeypatch.setattr(output, "Console", lambda **_: Console(file=written, width=200))
    with output.progress(f"[red]{EVIL}") as bar:
        bar.message(f"[red]{EVIL}")
    with output.steps(f"[red]{EVIL}") as steps:
        steps.message(EVIL)
        steps.reach(1, 2, EVIL)
    assert is_plain(written.getvalue())
    assert f"[red]{SHOWN}" in written.getvalue()


def test_errors_steer_no_terminal() -> None:
    """A failure's message is printed in the same way."""

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
def test_all_is_printed_in_one_place(path: Path) -> None:
    """No command prints past `output`."""
    source = path.read_text("utf-8")
    assert path.name == "output.py" or not re.search(r"click\.s?echo\(|(?<!\w)print\(", source)
