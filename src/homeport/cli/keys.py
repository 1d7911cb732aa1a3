"""`keys`: who may ask the server, for what and how much."""

import re
from datetime import UTC, datetime

import click
import msgspec

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, json_flag, print_json, print_table
from homeport.domain.keys import (
    LOCAL_PROJECT,
    IssuedKey,
    Key,
    KeyLimits,
    NewKey,
)
from homeport.settings import Settings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TIME = re.compile(r"(\d+)([smhd])")


@click.group("keys")
def keys() -> None:
    """Make, list, revoke and rotate keys.

    A running server sees changes within two seconds. With the first key the server asks everyone for one, for good.
    """


def _time(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = _TIME.fullmatch(value)
    if found is None:
        raise click.BadParameter("is not a time such as 90d, 12h, 30m or 45s")
    return int(found[1]) * _UNITS[found[2]]


@keys.command(cls=SettingsCommand)
@click.argument("name")
@click.option(
    "--project", default=LOCAL_PROJECT, show_default=True, help="Whose files, jobs and usage it opens; made if new."
)
@click.option("--model", "models", multiple=True, help="A model it may use, by name or alias; none: all.")
@click.option("--requests-per-minute", type=click.IntRange(1), metavar="N", help="Requests in any minute.")
@click.option("--tokens-per-minute", type=click.IntRange(1), metavar="N", help="Tokens in any minute.")
@click.option("--tokens-per-day", type=click.IntRange(1), metavar="N", help="Tokens in a day of UTC.")
@click.option("--tokens-per-month", type=click.IntRange(1), metavar="N", help="Tokens in a month of UTC.")
@click.option("--concurrent-requests", type=click.IntRange(1), metavar="N", help="Requests at the same time.")
@click.option("--storage-bytes", type=click.IntRange(1), metavar="N", help="Bytes that its project may store.")
@click.option("--expires-in", callback=_time, metavar="TIME", help="Time it is good for: 90d, 12h, 30m.")
@json_flag
@click.pass_context
def create(
    context: click.Context,
    /,
    settings: Settings,
    is_json: bool,
    name: str,
    project: str,
    models: tuple[str, ...],
    **limits: int | None,
) -> None:
    """Make a key called NAME and print its secret, which is told this once."""
    expires_in_s = limits.pop("expires_in")
    wanted = NewKey(name=name, project=project, models=models, limits=KeyLimits(**limits), expires_in_s=expires_in_s)
    _print_issued(application(context).create_key(settings, wanted), is_json)


@keys.command("list", cls=SettingsCommand)
@click.option("--all", "is_all", is_flag=True, help="Also those that open nothing any more.")
@json_flag
@click.pass_context
def list_(context: click.Context, settings: Settings, is_all: bool, is_json: bool) -> None:
    """List the keys."""
    now = datetime.now(UTC).timestamp()
    found = [key for key in application(context).admin.list_keys(settings) if is_all or key.is_valid(now)]
    if is_json:
        print_json(found)
        return
    rows = [
        (
            key.id,
            key.name,
            key.project,
            key.hint,
            ", ".join(key.models) or "all",
            _format_limits(key) or "-",
            _state(key, now),
        )
        for key in found
    ]
    print_table(("ID", "NAME", "PROJECT", "SECRET", "MODELS", "LIMITS", "STATE"), rows)


@keys.command(cls=SettingsCommand)
@click.argument("key")
@json_flag
@click.pass_context
def show(context: click.Context, settings: Settings, key: str, is_json: bool) -> None:
    """Show one KEY, by its id or name."""
    found = application(context).admin.get_key(settings, key)
    if is_json:
        print_json(found)
        return
    shown = {
        "id": found.id,
        "name": found.name,
        "project": found.project,
        "secret": found.hint,
        "models": ", ".join(found.models) or "all",
        "limits": _format_limits(found) or "-",
        "created": _moment(found.created_at),
        "rotated": _moment(found.rotated_at),
        "state": _state(found, datetime.now(UTC).timestamp()),
    }
    for name, value in shown.items():
        echo(f"{name:<8}  {value}")


@keys.command(cls=SettingsCommand)
@click.argument("key")
@click.pass_context
def revoke(context: click.Context, settings: Settings, key: str) -> None:
    """Have a KEY, by its id or name, open nothing any more. What it made stays with its project."""
    found = application(context).admin.revoke_key(settings, key)
    echo(f"{found.name} ({found.id}) is revoked")


@keys.command(cls=SettingsCommand)
@click.argument("key")
@json_flag
@click.pass_context
def rotate(context: click.Context, settings: Settings, key: str, is_json: bool) -> None:
    """Give a KEY, by its id or name, a new secret and print it; the old one opens nothing any more."""
    _print_issued(application(context).admin.rotate_key(settings, key), is_json)


def _print_issued(issued: IssuedKey, is_json: bool) -> None:
    if is_json:
        print_json({**msgspec.structs.asdict(issued.key), "secret": issued.secret})
        return
    echo(f"{issued.key.name} ({issued.key.id}) of project {issued.key.project}; this secret is told only now:\n")
    echo(f"  export OPENAI_API_KEY={issued.secret}")


def _format_limits(key: Key) -> str:
    given = msgspec.structs.asdict(key.limits)
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in given.items() if value is not None)


def _state(key: Key, now: float) -> str:
    if key.revoked_at is not None:
        return f"revoked {_moment(key.revoked_at)}"
    if key.expires_at is None:
        return "good"
    return f"{'good until' if key.is_valid(now) else 'expired'} {_moment(key.expires_at)}"


def _moment(seconds: int | None) -> str:
    return "-" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
