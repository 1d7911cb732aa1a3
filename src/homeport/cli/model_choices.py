"""How the catalogue's models are printed: the sizes of one family with what fits this machine, and all families."""

from collections.abc import Iterable, Sequence

from homeport.cli.output import echo, human_size, print_table
from homeport.domain.model_choices import ModelChoice, ModelChoices, largest_fitting

_UNKNOWN = "unknown"


def print_family(name: str, choices: ModelChoices) -> None:
    """Print a family's sizes, with a mark at the largest that fits this machine, and how to pull one."""
    members = choices.of_family(name)
    largest = largest_fitting(members)
    head = ("MODEL", "FILE", "MEMORY", "WINDOW", "FITS", "TOOLS", "REASONING", "")
    print_table(head, [(*_row(choice), _marks(choice, choice == largest)) for choice in members])
    available, total = human_size(choices.available_bytes), human_size(choices.total_bytes)
    echo(f"\nMEMORY is for the file and a full window. {available} of this machine's {total} are available now.")
    if largest is None:
        echo("None of them fits.")
    elif not largest.is_installed:
        echo(f"To install the largest that fits, run `homeport pull {largest.name}`.")


def print_catalogue(choices: ModelChoices) -> None:
    """Print one row for each family, and for each model that belongs to none."""
    rows: dict[str, tuple[str, ...]] = {}
    for choice in choices.models:
        name = choice.family or choice.name
        members = choices.of_family(name) if choice.family else (choice,)
        rows.setdefault(name, _family_row(name, members))
    print_table(("NAME", "KIND", "SIZES", "FILES", "TOOLS", "REASONING"), list(rows.values()))
    echo("\n`homeport pull NAME` pulls a model, or lists the sizes of a family with what fits this machine.")


def _row(choice: ModelChoice) -> tuple[str, ...]:
    return (
        choice.name,
        _size(choice.file_bytes),
        _size(choice.memory_bytes),
        str(choice.window or _UNKNOWN),
        _fit(choice),
        choice.tools or "-",
        choice.reasoning or "-",
    )


def _fit(choice: ModelChoice) -> str:
    if choice.fitting_window is None:
        return _UNKNOWN
    if not choice.fits:
        return "no"
    return "yes" if choice.fitting_window == choice.window else f"{choice.fitting_window} tokens"


def _marks(choice: ModelChoice, is_largest: bool) -> str:
    marks = {
        "largest that fits": is_largest,
        "installed": choice.is_installed,
        "untested": not choice.is_tested,
    }
    return ", ".join(mark for mark, applies in marks.items() if applies)


def _family_row(name: str, members: Sequence[ModelChoice]) -> tuple[str, ...]:
    sizes = [choice.name.removeprefix(f"{name}-") for choice in members] if members[0].family else ["-"]
    known = [choice.file_bytes for choice in members if choice.file_bytes is not None]
    limits = dict.fromkeys(human_size(size) for size in (min(known), max(known))) if known else (_UNKNOWN,)
    return (
        name,
        members[0].kind,
        ", ".join(sizes),
        " - ".join(limits),
        _join(choice.tools for choice in members),
        _join(choice.reasoning for choice in members),
    )


def _join(values: Iterable[str | None]) -> str:
    return ", ".join(dict.fromkeys(value for value in values if value)) or "-"


def _size(n_bytes: int | None) -> str:
    return _UNKNOWN if n_bytes is None else human_size(n_bytes)
