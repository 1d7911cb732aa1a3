"""How commands print: tables and JSON on standard output, progress on standard error. Knows no command.

All output passes through this module, which escapes control characters in names and texts from outside.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import click
import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

from homeport.domain import printable

json_flag = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


def echo(text: str = "", *, nl: bool = True, err: bool = False) -> None:
    """Print text with its control characters escaped. `err`: print to standard error."""
    click.echo(printable.text(text), nl=nl, err=err)


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    click.echo(printable.json(msgspec.json.format(msgspec.json.encode(value, enc_hook=str)).decode()))


def print_picture(sequence: str) -> None:
    """Print escape sequences that this program made itself: a picture for the terminal."""
    click.echo(sequence, color=True)  # also into a pipe, if the caller asks for it


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as their longest cell; the last column is not padded."""
    table = [[printable.line(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def human_size(n_bytes: int) -> str:
    """Format a number of bytes: `491 MB`."""
    value, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 10 and unit != "B" else f"{value:.0f} {unit}"


def format_time(seconds: int) -> str:
    """Format a Unix time: `2026-11-29 08:15 UTC`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def shorten_list(names: Sequence[str], n_shown: int = 3) -> str:
    """Format a list of names; of a long one the first few: `a, b, c and 9 more`."""
    more = f" and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return ", ".join(names[:n_shown]) + more


class Bar:
    """A download as a bar with size, speed and time left, on standard error. Implements `ProgressReporter`."""

    def __init__(self, bars: Bars, name: str) -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task(printable.line(name), total=None)

    def total(self, size: int) -> None:
        """Set the total to `size` bytes."""
        self._bars.update(self._task, total=size)

    def advance(self, size: int) -> None:
        """Add `size` bytes."""
        self._bars.advance(self._task, size)

    def message(self, text: str) -> None:
        """Print one line above the bar."""
        self._bars.console.print(printable.text(text), highlight=False, markup=False)


@contextmanager
def progress(name: str) -> Iterator[Bar]:
    """Show a bar for a download; it disappears at the end of the context."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Bar(bars, name)


class Steps:
    """Work in steps as a bar with time left and a note on the latest step, on standard error."""

    def __init__(self, bars: Bars, name: str) -> None:
        self._bars = bars
        self._name = printable.line(name)
        self._task: TaskID = bars.add_task(printable.line(name), total=None)

    def reach(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` steps are done."""
        self._bars.update(self._task, completed=done, total=total)
        if note:
            self._bars.update(self._task, description=f"{self._name}: {printable.line(note)}")

    def message(self, text: str) -> None:
        """Print one line above the bar."""
        self._bars.console.print(printable.text(text), highlight=False, markup=False)


@contextmanager
def steps(name: str) -> Iterator[Steps]:
    """Show a bar for work in steps; it disappears at the end of the context."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Steps(bars, name)
