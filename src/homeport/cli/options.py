"""The flags of commands, made from the settings, and how failures are shown. Knows no command."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from homeport import settings as configuration
from homeport.cli.application import Application
from homeport.domain import printable, setting_parsers
from homeport.domain.errors import HomeportError
from homeport.settings import SETTINGS, Parse, SettingsError

ALL_SETTINGS = tuple(name for name, setting in SETTINGS.items() if not setting.spec.secret)
_LISTS: tuple[Parse, ...] = (
    setting_parsers.parse_words,
    setting_parsers.parse_hosts,
    setting_parsers.parse_public_hosts,
    setting_parsers.parse_pairs,
)
_METAVARS: dict[Parse, str] = {
    setting_parsers.parse_words: "NAME",
    setting_parsers.parse_hosts: "HOST",
    setting_parsers.parse_public_hosts: "HOST",
    setting_parsers.parse_pairs: "NAME=TARGET",
    setting_parsers.parse_int: "N",
    setting_parsers.parse_days: "DAYS",
    setting_parsers.parse_number: "SECONDS",
    setting_parsers.parse_folder: "PATH",
    setting_parsers.parse_text: "TEXT",
    setting_parsers.parse_size: "SIZE",
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
            # For a home that cannot be written or a full disk, the file and the reason suffice.
            raise click.ClickException(printable.text(f"{error.filename}: {error.strerror}")) from error


class SettingsCommand(click.Command):
    """A command with flags for the settings named in `settings`, and `--config`.

    Its function receives one checked `settings: Settings` instead of these flags.
    """

    def __init__(self, *args: Any, settings: Sequence[str] = ("home",), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._names = tuple(settings)
        self.params += [click.Option(["--config"], type=click.Path(path_type=Path), help="YAML file of settings.")]
        self.params += [_option(name) for name in self._names]

    def invoke(self, ctx: click.Context) -> Any:
        """Load the settings, then run the command. Raises SettingsError."""
        flags = {name: ctx.params.pop(name) for name in self._names}
        ctx.params["settings"] = configuration.load(flags, file=ctx.params.pop("config"))
        return super().invoke(ctx)


def application(context: click.Context) -> Application:
    """The program that commands call, as `main` or a test passes it to click."""
    program: Application = context.find_root().obj
    return program


def _option(name: str) -> click.Option:
    setting = SETTINGS[name]
    flag, spec = setting.flag, setting.spec
    if setting.parse is setting_parsers.parse_switch:
        return click.Option([f"{flag}/--no-{flag[2:]}", name], default=None, help=spec.help)
    is_list = setting.parse in _LISTS
    metavar = "|".join(spec.choices) or _METAVARS[setting.parse]
    return click.Option([flag, name], multiple=is_list, metavar=metavar, help=spec.help)
