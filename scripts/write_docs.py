"""Generate the pages of docs/ on commands and settings from the code.

`python -m scripts.write_docs` writes them. With `--check` it writes nothing, and fails if a page is stale. Pages made
from test results are written by those tests.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from homeport.cli import commands
from homeport.settings import CONFIG, SETTINGS, Settings

FOLDER = Path(__file__).parent.parent / "docs"
_HEADER = "<!-- Made by `make docs`; edit the code instead. -->"


def cli_page() -> str:
    """The text of docs/cli.md: the help of every command."""
    parts = [_HEADER, "# Commands", "`homeport COMMAND --help` prints the same on your machine."]
    for name, command in _commands(commands, "homeport"):
        context = click.Context(command, info_name=name, max_content_width=100, terminal_width=100)
        parts += [f"## {name}", f"```text\n{command.get_help(context)}\n```"]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """The text of docs/settings.md: every setting with its names, default and meaning."""
    rows = ["| setting | environment | flag | default | meaning |", "| --- | --- | --- | --- | --- |"]
    defaults = Settings()
    for name, setting in SETTINGS.items():
        spec = setting.spec
        variables = ", ".join(f"`{variable}`" for variable in setting.variables)
        flag = "–" if spec.secret else f"`{setting.flag}`"
        meaning = spec.help.replace("|", "\\|")
        if spec.choices:
            meaning += f" One of {', '.join(spec.choices)}."
        rows.append(f"| `{name}` | {variables} | {flag} | {_default(name, getattr(defaults, name))} | {meaning} |")
    return "\n\n".join([_HEADER, "# Settings", _PROSE, "\n".join(rows)]) + "\n"


_PROSE = f"""A flag overrides the environment, the environment overrides the YAML file named by `--config` or
`{CONFIG}`, and the file overrides the default. `homeport config show` prints each value and where it was set;
`homeport config check` only checks. An unknown name is an error that suggests the nearest known one. An empty variable
counts as unset. Secrets have no flag, because other users of a machine can read the flags of its programs, and are
printed masked.

A size takes a unit (`8GB`, `512MiB`). A time is in seconds. A list is separated by commas in a variable, repeated as a
flag, and a list in YAML:

```yaml
host: 127.0.0.1:8080
models: [qwen2.5-coder-0.5b]
aliases: {{gpt-4: qwen2.5-coder-0.5b}}
idle_unload_s: 600
```"""

PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "settings.md": settings_page}


def stale(folder: Path = FOLDER) -> list[str]:
    """The names of the pages that are missing or differ from what the code generates."""
    paths = {name: folder / name for name in PAGES}
    return [name for name, path in paths.items() if not path.exists() or path.read_text("utf-8") != PAGES[name]()]


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
            # `ls` is another name of `list`; its help is the same.
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
