"""`keys`: creates, lists, revokes and rotates keys."""

import re
from datetime import UTC, datetime

import click
import msgspec

from homeport.cli.options import SettingsCommand, application
from homeport.cli.output import echo, format_time, json_flag, print_json, print_table
from homeport.domain.keys import LOCAL_PROJECT, IssuedKey, Key, KeyLimits, NewKey
from homeport.settings import Settings

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+)([smhd])")


@click.group("keys")
def keys() -> None:
    """Create, list, revoke and rotate keys.

    A running server applies changes within two seconds. Once a key exists, every request needs one, permanently.
    """


def _parse_duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter("is not a time such as 90d, 12h, 30m or 45s")
    return int(match[1]) * _UNITS[match[2]]


@keys.command(cls=SettingsCommand)
@click.argument("name")
@click.option(
    "--project",
    default=LOCAL_PROJECT,
    show_default=True,
    help="Project whose files, jobs and usage the key gives access to; created if new.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="Model that the key may use, by name or alias; may be repeated; default: all.",
)
@click.option("--requests-per-minute", type=click.IntRange(1), metavar="N", help="Maximum requests in any minute.")
@click.option("--tokens-per-minute", type=click.IntRange(1), metavar="N", help="Maximum tokens in any minute.")
@click.option("--tokens-per-day", type=click.IntRange(1), metavar="N", help="Maximum tokens per day (UTC).")
@click.option("--tokens-per-month", type=click.IntRange(1), metavar="N", help="Maximum tokens per month (UTC).")
@click.option("--concurrent-requests", type=click.IntRange(1), metavar="N", help="Maximum requests at the same time.")
@click.option("--storage-bytes", type=click.IntRange(1), metavar="N", help="Maximum bytes that its project may store.")
@click.option("--expires-in", callback=_parse_duration, metavar="TIME", help="Time until it expires: 90d, 12h, 30m.")
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
    """Create a key called NAME and print its secret; it is shown only once."""
    expires_in_s = limits.pop("expires_in")
    new_key = NewKey(name=name, project=project, models=models, limits=KeyLimits(**limits), expires_in_s=expires_in_s)
    _print_issued(application(context).admin.create_key(settings, new_key), is_json)


@keys.command("list", cls=SettingsCommand)
@click.option("--all", "is_all", is_flag=True, help="Include revoked and expired keys.")
@json_flag
@click.pass_context
def list_(context: click.Context, settings: Settings, is_all: bool, is_json: bool) -> None:
    """List the keys."""
    now = datetime.now(UTC).timestamp()
    listed = [key for key in application(context).admin.list_keys(settings) if is_all or key.is_valid(now)]
    if is_json:
        print_json(listed)
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
        for key in listed
    ]
    print_table(("ID", "NAME", "PROJECT", "SECRET", "MODELS", "LIMITS", "STATE"), rows)


@keys.command(cls=SettingsCommand)
@click.argument("key")
@json_flag
@click.pass_context
def show(context: click.Context, settings: Settings, key: str, is_json: bool) -> None:
    """Show a key, by id or name."""
    stored = application(context).admin.get_key(settings, key)
    if is_json:
        print_json(stored)
        return
    rows = {
        "id": stored.id,
        "name": stored.name,
        "project": stored.project,
        "secret": stored.hint,
        "models": ", ".join(stored.models) or "all",
        "limits": _format_limits(stored) or "-",
        "created": format_time(stored.created_at),
        "rotated": "-" if stored.rotated_at is None else format_time(stored.rotated_at),
        "state": _state(stored, datetime.now(UTC).timestamp()),
    }
    for name, value in rows.items():
        echo(f"{name:<8}  {value}")


@keys.command(cls=SettingsCommand)
@click.argument("key")
@click.pass_context
def revoke(context: click.Context, settings: Settings, key: str) -> None:
    """Revoke a key, by id or name. Its files and jobs stay with its project."""
    revoked = application(context).admin.revoke_key(settings, key)
    echo(f"{revoked.name} ({revoked.id}) is revoked")


@keys.command(cls=SettingsCommand)
@click.argument("key")
@json_flag
@click.pass_context
def rotate(context: click.Context, settings: Settings, key: str, is_json: bool) -> None:
    """Replace a key's secret, by id or name, and print it; the old secret no longer works."""
    _print_issued(application(context).admin.rotate_key(settings, key), is_json)


def _print_issued(issued: IssuedKey, is_json: bool) -> None:
    if is_json:
        print_json({**msgspec.structs.asdict(issued.key), "secret": issued.secret})
        return
    echo(f"{issued.key.name} ({issued.key.id}) of project {issued.key.project}; its secret is shown only once:\n")
    echo(f"  export OPENAI_API_KEY={issued.secret}")


def _format_limits(key: Key) -> str:
    limits = msgspec.structs.asdict(key.limits)
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in limits.items() if value is not None)


def _state(key: Key, now: float) -> str:
    if key.revoked_at is not None:
        return f"revoked {format_time(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    return f"{'valid until' if key.is_valid(now) else 'expired'} {format_time(key.expires_at)}"
