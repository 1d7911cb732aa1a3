"""`ask`: an answer from the documents of a folder, with its sources."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from homeport.cli.connection import connect_or_start
from homeport.cli.options import SettingsCommand
from homeport.cli.output import echo, json_flag, print_json, steps
from homeport.client.document_folder import DocumentFolder
from homeport.client.document_search import DocumentStore, FoundPassage
from homeport.settings import Settings

_PREVIEW_CHARS = 200


@click.command(cls=SettingsCommand, settings=("home", "port", "default_model"))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("question")
@click.option("--model", help="Text model that answers; default: the server's.")
@click.option(
    "-n", "--number", type=click.IntRange(1, 50), default=3, show_default=True, help="Number of passages to read."
)
@click.option("--passages", "is_search", is_flag=True, help="Print the passages that fit best, without an answer.")
@json_flag
def ask(
    settings: Settings,
    folder: Path,
    question: str,
    model: str | None,
    number: int,
    *,
    is_search: bool,
    is_json: bool,
) -> None:
    """Answer QUESTION from the documents in FOLDER, and print the sources.

    The documents (text, code, html, json, csv; pdf, docx, pptx and xlsx with the extra `documents`; also in folders
    inside) are indexed at the first question. Later ones index only what is new or has changed. The command uses the
    running server, or starts one for itself.
    """
    index = DocumentFolder(settings.home, folder)
    with connect_or_start(settings, model) as (server, key):
        store = DocumentStore(server, key, index)
        with steps(folder.name or str(folder)) as bar:
            store.update(bar.reach)
        for path, fault in index.faults:
            echo(f"{folder / path} is not searched: {fault}", err=True)
        if not len(index):
            raise click.ClickException(f"{folder} has no documents that can be searched.")
        passages = store.search(question, number)
        name = model or settings.default_model or "gpt-4o"
        pieces = [] if is_search else _print_answer(store.ask(question, name, passages), is_printed=not is_json)
    if is_json:
        print_json({"answer": "".join(pieces), "sources": [_summary(folder, passage) for passage in passages]})
        return
    for at, passage in enumerate(passages, 1):
        echo(f"[{at}] {folder / passage.path}  {passage.score:.3f}")
        echo(f"    {_preview(passage)}")


def _print_answer(answer: Iterable[str], *, is_printed: bool) -> list[str]:
    """Collect the pieces of an answer, and print them as they arrive."""
    pieces = []
    for piece in answer:
        pieces.append(piece)
        if is_printed:
            echo(piece, nl=False)
    if is_printed:
        echo("\n")
    return pieces


def _preview(passage: FoundPassage) -> str:
    text = " ".join(passage.text.split())
    return text if len(text) <= _PREVIEW_CHARS else f"{text[: _PREVIEW_CHARS - 1]}…"


def _summary(folder: Path, passage: FoundPassage) -> dict[str, Any]:
    return {**passage._asdict(), "path": str(folder / passage.path)}
