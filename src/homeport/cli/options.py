"""Flags of the commands, made from the table of settings, and how failures are shown. Knows no command."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from homeport import settings as configuration
from homeport.cli.application import Application
from homeport.domain import printable, setting_parsers
from homeport.domain.errors import HomeportError
from homeport.settings import SETTINGS, SettingsError

ALL_SETTINGS = tuple(name for name, fact in SETTINGS.items() if not fact.secret)
_METAVARS = {
    "parse_words": "NAME",
    "parse_pairs": "NAME=TARGET",
    "parse_int": "N",
    "parse_number": "SECONDS",
    "parse_folder": "PATH",
    "parse_text": "TEXT",
    "parse_size": "SIZE",
}


class Commands(click.Group):
    """A group that turns the program's errors into one line and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command named on the command line."""
        try:
            return super().invoke(ctx)
        except (HomeportError, SettingsError) as error:
            raise click.ClickException(printable.text(str(error))) from error
        except OSError as error:
            if error.filename is None:
                raise
            # A home that cannot be written, a disk that is full: the file and the reason say all there is to say.
            raise click.ClickException(printable.text(f"{error.filename}: {error.strerror}")) from error


class SettingsCommand(click.Command):
    """A command with flags for the settings named in `settings`, and `--config`.

    Its function gets one checked `settings: Settings` in the place of all these.
    """

    def __init__(self, *args: Any, settings: Sequence[str] = ("home",), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._names = tuple(settings)
        self.params += [click.Option(["--config"], type=click.Path(path_type=Path), help="YAML file of settings.")]
        self.params += [_option(name) for name in self._names]

    def invoke(self, ctx: click.Context) -> Any:
        """Read the settings, then run."""
        flags = {name: ctx.params.pop(name) for name in self._names}
        ctx.params["settings"] = configuration.load(flags, file=ctx.params.pop("config"))
        return super().invoke(ctx)


def application(context: click.Context) -> Application:
    """Give the program the commands act on, as `main` or a test put it in."""
    found: Application = context.find_root().obj
    return found


def _option(name: str) -> click.Option:
    fact = SETTINGS[name]
    flag = configuration.flag(name)
    if fact.parse is setting_parsers.parse_switch:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=fact.help)
    is_list = fact.parse in (setting_parsers.parse_words, setting_parsers.parse_pairs)
    metavar = "|".join(fact.choices) or _METAVARS.get(fact.parse.__name__, fact.parse.__name__.upper())
    return click.Option([flag, name], multiple=is_list, metavar=metavar, help=fact.help)
