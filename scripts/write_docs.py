"""Write the pages of docs/ that say what the code says: commands and settings.

`python -m scripts.write_docs` writes them, with `--check` it fails and names those that are stale. Pages made
from test results are written by those tests. Knows nothing of what commands do.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from homeport.cli import commands
from homeport.settings import (
    CONFIG,
    PREFIX,
    SETTINGS,
    Settings,
    flag,
)

FOLDER = Path(__file__).parent.parent / "docs"
_MADE = "<!-- Made by `make docs`; edit the code instead. -->"


def cli_page() -> str:
    """Give docs/cli.md: every command's own help."""
    parts = [_MADE, "# Commands", "`homeport COMMAND --help` prints the same on your machine."]
    for name, command in _commands(commands, "homeport"):
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        parts += [f"## {name}", f"```text\n{command.get_help(context)}\n```"]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Give docs/settings.md: every setting with its names, default and meaning."""
    rows = ["| setting | environment | flag | default | meaning |", "| --- | --- | --- | --- | --- |"]
    defaults = Settings()
    for name, fact in SETTINGS.items():
        variables = ", ".join(f"`{variable}`" for variable in (PREFIX + name.upper(), *fact.other_variables))
        shown = "–" if fact.secret else f"`{flag(name)}`"
        meaning = fact.help.replace("|", "\\|")
        if fact.choices:
            meaning += f" One of {', '.join(fact.choices)}."
        rows.append(f"| `{name}` | {variables} | {shown} | {_default(name, getattr(defaults, name))} | {meaning} |")
    return "\n\n".join([_MADE, "# Settings", _PROSE, "\n".join(rows)]) + "\n"


_PROSE = f"""A flag goes before the environment, that before the YAML file named by `--config` or `{CONFIG}`,
that before the default. `homeport config show` prints what holds and where it was set; `homeport config check` only
checks. A name that does not exist stops the start and is answered with the nearest one that does. An empty variable
counts as unset. Secrets have no flag, since other users of a machine can read the flags of its programs, and are
printed masked.

Sizes take a unit (`8GB`, `512MiB`), times are seconds. Lists are separated by commas in a variable, repeated as a
flag, and lists in YAML:

```yaml
host: 127.0.0.1:8080
models: [qwen2.5-coder-0.5b]
aliases: {{gpt-4: qwen2.5-coder-0.5b}}
idle_unload_s: 600
```"""

PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "settings.md": settings_page}


def stale(folder: Path = FOLDER) -> list[str]:
    """Name the pages that differ from what the code says now."""
    found = {name: folder / name for name in PAGES}
    return [name for name, path in found.items() if not path.exists() or path.read_text("utf-8") != PAGES[name]()]


def main() -> None:
    """Write the pages, or check them."""
    if "--check" in sys.argv[1:]:
        names = stale()
        sys.exit(f"stale: {', '.join(names)}; run `make docs`" if names else 0)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for child in sorted(command.commands):
            # `ls` is `list` under another name and would say the same twice.
            if child == command.commands[child].name:
                yield from _commands(command.commands[child], f"{name} {child}")


def _default(name: str, value: object) -> str:
    if name == "home":
        return "the user's data folder"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        value = ", ".join(value)
    return f"`{value}`" if value not in (None, "", {}) else "–"


if __name__ == "__main__":
    main()
