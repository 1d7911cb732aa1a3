"""`db`: the database of keys, usage and files."""

from pathlib import Path

import click

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, human_size, json_flag, print_json
from homeport.settings import Settings


@click.group("db")
def database() -> None:
    """Upgrade, check and back up the database of keys, usage and files."""


@database.command(cls=SettingsCommand)
@click.pass_context
def upgrade(context: click.Context, settings: Settings) -> None:
    """Upgrade the database to this version's schema.

    The server upgrades a SQLite file by itself. Only this command upgrades PostgreSQL, which other servers may use.
    """
    echo(application(context).admin.upgrade_database(settings))


@database.command(cls=SettingsCommand)
@json_flag
@click.pass_context
def check(context: click.Context, settings: Settings, is_json: bool) -> None:
    """Check the database. The exit status is 1 if it has faults."""
    name, faults = application(context).admin.check_database(settings)
    if is_json:
        print_json({"database": name, "faults": faults})
    else:
        echo("\n".join([f"{name}: {fault}" for fault in faults]) or f"{name} has no faults")
    context.exit(int(bool(faults)))


@database.command(cls=SettingsCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def backup(context: click.Context, settings: Settings, file: Path) -> None:
    """Copy a SQLite database to a new FILE, also while a server uses it. For PostgreSQL use pg_dump."""
    size = application(context).admin.backup_database(settings, file)
    echo(f"{file} ({human_size(size)})")
