"""`homeport config`: shows and checks the settings."""

import click

from homeport.cli.options import ALL_SETTINGS, SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json, print_table
from homeport.settings import CONFIG, PREFIX, SETTINGS, Settings


@click.group()
def config() -> None:
    """Show and check the settings."""


@config.command("show", cls=SettingsCommand, settings=ALL_SETTINGS)
@json_flag
def show_config(settings: Settings, is_json: bool) -> None:
    """Show every setting and where it was set; secrets are masked."""
    values = settings.to_display()
    if is_json:
        print_json({name: {"value": value, "set_by": settings.origins.get(name)} for name, value in values.items()})
        return
    rows = [
        (name, "-" if value in (None, [], {}) else str(value), settings.origins.get(name, "default"))
        for name, value in values.items()
    ]
    print_table(("SETTING", "VALUE", "SET BY"), rows)


@config.command(cls=SettingsCommand, settings=ALL_SETTINGS)
@click.pass_context
def check(context: click.Context, settings: Settings) -> None:
    """Check the settings as `serve` does; if they are invalid, print the reason and exit with status 1."""
    application(context).check_settings(settings)
    n_set = len([name for name in SETTINGS if name in settings.origins])
    echo(f"The settings are valid ({n_set} set; change them by {PREFIX}* variables, {CONFIG} or flags).")
