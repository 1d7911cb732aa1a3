"""`run`: a chat in the terminal."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import msgspec

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo
from homeport.client import http_client
from homeport.settings import Settings

_INPUTS = {"function": "arguments", "custom": "input"}
"""The field that holds what a tool of each type is called with."""


@click.command(cls=SettingsCommand, settings=("home", "port", "default_model"))
@click.argument("model", required=False)
@click.option("--system", help="System message.")
@click.option(
    "--tools",
    "tools_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with tools that the model may call, as the API's `tools`. You enter each call's result.",
)
@click.option("--reasoning", "has_reasoning", is_flag=True, help="Show the reasoning of models that reason.")
def run(
    settings: Settings, model: str | None, system: str | None, tools_file: Path | None, *, has_reasoning: bool
) -> None:
    """Chat in the terminal. Ctrl-D ends the chat.

    The command uses the running server, or starts one for itself.
    """
    fields: dict[str, Any] = {"model": model or settings.default_model or "gpt-3.5-turbo"}
    if tools_file is not None:
        fields["tools"] = _read_tools(tools_file)
    if has_reasoning:
        fields["reasoning_effort"] = "medium"
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    with connect_or_start(settings, model) as (server, key):
        while (line := _read_line("> ")) is not None:
            messages.append({"role": "user", "content": line})
            while messages[-1]["role"] != "assistant":
                deltas = http_client.chat(server, key, {**fields, "messages": messages})
                messages.append(_print_answer(deltas, has_reasoning=has_reasoning))
                results = _read_results(messages[-1].get("tool_calls", ()))
                if results is None:
                    return
                messages += results


def _read_tools(file: Path) -> Any:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{file} is not a JSON array of tools: {error}", param_hint="--tools") from error


def _print_answer(deltas: Iterable[Any], *, has_reasoning: bool) -> dict[str, Any]:
    """Print an answer as it arrives, and its calls; return it as a message."""
    text = ""
    calls: list[dict[str, Any]] = []
    for delta in deltas:
        if has_reasoning:
            echo(delta.get("reasoning") or "", nl=False, err=True)
        piece = delta.get("content") or ""
        echo(piece, nl=False)
        text += piece
        for part in delta.get("tool_calls") or ():
            _add_call(calls, part)
    echo()
    for call in calls:
        called = call[call["type"]]
        echo(f"{called['name']} {called[_INPUTS[call['type']]]}")
    message: dict[str, Any] = {"role": "assistant", "content": text}
    return {**message, "tool_calls": calls} if calls else message


def _add_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Begin a call with its first part, or append a later part to it."""
    if part["index"] == len(calls):
        kind = part["type"]
        calls.append({"id": part["id"], "type": kind, kind: {**part[kind]}})
        return
    call = calls[part["index"]]
    kind = call["type"]
    call[kind][_INPUTS[kind]] += part[kind][_INPUTS[kind]]


def _read_results(calls: Iterable[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Read the results of calls, one line each, as messages; None at the end of the input."""
    results: list[dict[str, Any]] = []
    for call in calls:
        line = _read_line(f"result of {call[call['type']]['name']}> ")
        if line is None:
            return None
        results.append({"role": "tool", "tool_call_id": call["id"], "content": line})
    return results


def _read_line(prompt: str) -> str | None:
    """Read the next line that is not blank; None at the end of the input."""
    if sys.stdin.isatty():
        echo(prompt, nl=False, err=True)
    for line in sys.stdin:
        if line.strip():
            return line.rstrip("\n")
    return None
