"""`batch`: a file of requests that the running server processes while it is otherwise idle."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from homeport.cli.connection import find_server
from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo, format_time, json_flag, print_json, print_table
from homeport.client import http_client
from homeport.domain.errors import NotFound
from homeport.settings import Settings

_ENDPOINT = "/v1/chat/completions"
_PATH = "/v1/batches"
_SETTINGS = ("home", "port")


@click.group("batch")
def batch() -> None:
    """Run a file of requests on the server while it is otherwise idle."""


def _parse_pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    if any(not separator for _, separator, _ in pairs):
        raise click.BadParameter("is not NAME=TEXT")
    return {name: text for name, _, text in pairs}


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--endpoint", default=_ENDPOINT, show_default=True, help="Endpoint of all requests.")
@click.option(
    "--metadata", multiple=True, metavar="NAME=TEXT", callback=_parse_pairs, help="Metadata; may be repeated."
)
@json_flag
def create(settings: Settings, file: Path, endpoint: str, metadata: dict[str, str], is_json: bool) -> None:
    """Upload FILE and create a batch from it.

    FILE has one request per line, as in OpenAI's batches. The batch ends within 24 hours.
    """
    server, key = find_server(settings)
    input_file = http_client.upload_file(server, key, file, "batch")
    body = {"input_file_id": input_file["id"], "endpoint": endpoint, "completion_window": "24h", "metadata": metadata}
    created = http_client.request_json(server, key, "POST", _PATH, body)
    if is_json:
        print_json(created)
    else:
        echo(f"{created['id']} is {created['status']}; `homeport batch show {created['id']}` shows its progress")


@batch.command("list", cls=SettingsCommand, settings=_SETTINGS)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="Maximum number of batches.")
@json_flag
def list_(settings: Settings, limit: int, is_json: bool) -> None:
    """List batches, newest first."""
    server, key = find_server(settings)
    batches = http_client.request_json(server, key, "GET", f"{_PATH}?{urlencode({'limit': limit})}")["data"]
    if is_json:
        print_json(batches)
        return
    rows = [
        (each["id"], each["status"], _counts(each), each["endpoint"], format_time(each["created_at"]))
        for each in batches
    ]
    print_table(("ID", "STATUS", "DONE + FAILED / TOTAL", "ENDPOINT", "CREATED"), rows)


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("batch_id")
@json_flag
def show(settings: Settings, batch_id: str, is_json: bool) -> None:
    """Show a batch: its progress, tokens, files and errors."""
    server, key = find_server(settings)
    batch = http_client.request_json(server, key, "GET", _path(batch_id))
    if is_json:
        print_json(batch)
        return
    usage = batch["usage"]
    rows = {
        "status": batch["status"],
        "lines": f"{_counts(batch)} (done + failed / total)",
        "endpoint": batch["endpoint"],
        "model": batch["model"] or "several",
        "tokens": f"{usage['input_tokens']} + {usage['output_tokens']}",
        "created": format_time(batch["created_at"]),
        "expires": format_time(batch["expires_at"]),
        "input": batch["input_file_id"],
        "output": batch["output_file_id"] or "-",
        "errors": batch["error_file_id"] or "-",
    }
    for name, value in rows.items():
        echo(f"{name:<8}  {value}")
    for error in (batch["errors"] or {"data": []})["data"]:
        line = f"line {error['line']}: " if error["line"] else ""
        echo(f"{'error':<8}  {line}{error['message']}")


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("batch_id")
@click.option("--errors", "are_errors", is_flag=True, help="Print the results of failed lines instead.")
def output(settings: Settings, batch_id: str, are_errors: bool) -> None:
    """Print the results of a batch that has ended, one line per request."""
    server, key = find_server(settings)
    batch = http_client.request_json(server, key, "GET", _path(batch_id))
    file_id = batch["error_file_id" if are_errors else "output_file_id"]
    if file_id is None:
        raise NotFound(f"{batch_id} is {batch['status']} and has no {'error' if are_errors else 'output'} file")
    for block in http_client.download_file(server, key, file_id):
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()


@batch.command(cls=SettingsCommand, settings=_SETTINGS)
@click.argument("batch_id")
@json_flag
def cancel(settings: Settings, batch_id: str, is_json: bool) -> None:
    """Cancel a batch; completed results are kept."""
    server, key = find_server(settings)
    batch = http_client.request_json(server, key, "POST", f"{_path(batch_id)}/cancel")
    if is_json:
        print_json(batch)
    else:
        echo(f"{batch_id} is {batch['status']}")


def _path(batch_id: str) -> str:
    return f"{_PATH}/{quote(batch_id, safe='')}"


def _counts(batch: Any) -> str:
    counts = batch["request_counts"]
    return f"{counts['completed']} + {counts['failed']} / {counts['total']}"
