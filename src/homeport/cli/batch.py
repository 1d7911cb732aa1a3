"""`batch`: many requests in one file, done by the running server in the gaps of other traffic."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo, json_flag, print_json, print_table
from homeport.client import http_client
from homeport.client.runfile import RunningServer
from homeport.domain.errors import NotFound
from homeport.settings import Settings

_ENDPOINT = "/v1/chat/completions"
_PATH = "/v1/batches"
_SETTINGS = ("home", "port")


@click.group("batch")
def batch() -> None:
    """Have a file of requests done by the running server, in the gaps of other traffic."""


def _parse_pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if any(not sign for _, sign, _ in pairs):
        raise click.BadParameter("is not NAME=TEXT")
    return {name: text for name, _, text in pairs}


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--endpoint", default=_ENDPOINT, show_default=True, help="What all its requests are for.")
@click.option("--metadata", multiple=True, metavar="NAME=TEXT", callback=_parse_pairs, help="A note; may be repeated.")
@json_flag
def create(settings: Settings, file: Path, endpoint: str, metadata: dict[str, str], is_json: bool) -> None:
    """Send FILE, one request in each line as in OpenAI's batches, and have it done within a day."""
    running, key = _connect(settings)
    sent = http_client.upload_file(running, key, file, "batch")
    wanted = {"input_file_id": sent["id"], "endpoint": endpoint, "completion_window": "24h", "metadata": metadata}
    made = http_client.request_json(running, key, "POST", _PATH, wanted)
    if is_json:
        print_json(made)
    else:
        echo(f"{made['id']} is {made['status']}; `homeport batch show {made['id']}` tells how far it is")


@batch.command("list", cls=SettingsCommand, settings=_SETTINGS)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many at most.")
@json_flag
def list_(settings: Settings, limit: int, is_json: bool) -> None:
    """List batches, the newest first."""
    running, key = _connect(settings)
    found = http_client.request_json(running, key, "GET", f"{_PATH}?{urlencode({'limit': limit})}")["data"]
    if is_json:
        print_json(found)
        return
    rows = [
        (each["id"], each["status"], _counts(each), each["endpoint"], _moment(each["created_at"])) for each in found
    ]
    print_table(("ID", "STATUS", "DONE + FAILED / TOTAL", "ENDPOINT", "CREATED"), rows)


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("batch_id")
@json_flag
def show(settings: Settings, batch_id: str, is_json: bool) -> None:
    """Show how far a batch is, or how it ended."""
    running, key = _connect(settings)
    found = http_client.request_json(running, key, "GET", _path(batch_id))
    if is_json:
        print_json(found)
        return
    usage = found["usage"]
    shown = {
        "status": found["status"],
        "lines": f"{_counts(found)} (done + failed / total)",
        "endpoint": found["endpoint"],
        "model": found["model"] or "several",
        "tokens": f"{usage['input_tokens']} + {usage['output_tokens']}",
        "created": _moment(found["created_at"]),
        "expires": _moment(found["expires_at"]),
        "input": found["input_file_id"],
        "output": found["output_file_id"] or "-",
        "errors": found["error_file_id"] or "-",
    }
    for name, value in shown.items():
        echo(f"{name:<8}  {value}")
    for error in (found["errors"] or {"data": []})["data"]:
        where = f"line {error['line']}: " if error["line"] else ""
        echo(f"{'why':<8}  {where}{error['message']}")


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("batch_id")
@click.option("--errors", "are_errors", is_flag=True, help="What came of the lines that failed.")
def output(settings: Settings, batch_id: str, are_errors: bool) -> None:
    """Print what came of a batch that has ended, a line for each request, by their `custom_id`."""
    running, key = _connect(settings)
    found = http_client.request_json(running, key, "GET", _path(batch_id))
    file_id = found["error_file_id" if are_errors else "output_file_id"]
    if file_id is None:
        raise NotFound(f"{batch_id} is {found['status']} and has no such file")
    for piece in http_client.download_file(running, key, file_id):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("batch_id")
@json_flag
def cancel(settings: Settings, batch_id: str, is_json: bool) -> None:
    """Have a batch end early; what is done is kept."""
    running, key = _connect(settings)
    found = http_client.request_json(running, key, "POST", f"{_path(batch_id)}/cancel")
    if is_json:
        print_json(found)
    else:
        echo(f"{batch_id} is {found['status']}")


def _connect(settings: Settings) -> tuple[RunningServer, str]:
    """The running server, and the key to speak to it with."""
    running = http_client.find_server(settings.home, settings.port if "port" in settings.origins else None)
    return running, settings.api_keys[0] if settings.api_keys else running.token


def _path(batch_id: str) -> str:
    return f"{_PATH}/{quote(batch_id, safe='')}"


def _counts(found: Any) -> str:
    counts = found["request_counts"]
    return f"{counts['completed']} + {counts['failed']} / {counts['total']}"


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
