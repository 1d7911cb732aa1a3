"""Reads what a model is given: the items of the input, and the messages of earlier items and input together.

Blocks while it reads files and referred items. Knows no template and nothing of storage.
"""

import asyncio
import functools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from starlette.requests import Request

from homeport.api.responses.history import to_messages
from homeport.api.responses.item_ids import response_id_of
from homeport.api.responses.item_schema import AdditionalTools, InputItem
from homeport.api.responses.items import from_stored, read_input, resolve_references, to_stored
from homeport.api.responses.sealed_text import open_sealed
from homeport.api.responses.tools import AdditionalTool
from homeport.api.services import caller, services
from homeport.domain import validation
from homeport.domain.content import Message
from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.ports.responses import ResponseRepository
from homeport.domain.ports.store import FileRepository
from homeport.domain.responses import Item

MAX_FILE_BYTES = 16_000_000
_SMALL_CHARS = 20_000
"""Shorter texts without items are read on the event loop: a thread would cost more."""


class PromptSource(NamedTuple):
    """What a prompt is made of. `earlier`: the items that precede the input."""

    instructions: str | None
    input: str | Sequence[msgspec.Raw] | None
    earlier: Sequence[Item] = ()


class PromptContent(NamedTuple):
    """A prompt. `items`: those of the input, as they are stored; `messages`: all of them; `tools`: those of items."""

    items: tuple[Item, ...]
    messages: tuple[Message, ...]
    tools: Sequence[AdditionalTool] = ()


async def read_prompt(request: Request, source: PromptSource) -> PromptContent:
    """Read the items of a prompt. Raises InvalidRequest naming the item, NotFound for one that is referred to."""
    server, project = services(request), caller(request).project
    find = functools.partial(_find_items, server.responses, project, source.earlier)
    files = functools.partial(_read_file, server.files, project, server.spool) if server.files else None
    arguments = (source, find, functools.partial(open_sealed, server.secret), files)
    if isinstance(source.input, str) and not source.earlier and len(source.input) <= _SMALL_CHARS:
        return _read(*arguments)
    return await asyncio.to_thread(_read, *arguments)


def _read(
    source: PromptSource,
    find: Callable[[Sequence[str]], Iterable[Item]],
    open_reasoning: Callable[[str], str | None],
    read_file: Callable[[str], bytes] | None,
) -> PromptContent:
    if source.input is None and not source.earlier:
        raise validation.missing("input")
    new = resolve_references(read_input(source.input or []), find)
    items = to_stored(new)
    earlier = from_stored(source.earlier)
    messages = to_messages(
        source.instructions,
        [*earlier, *new],
        open_reasoning,
        n_earlier=len(source.earlier),
        read_file=read_file,
    )
    if not messages:
        raise InvalidRequest("Invalid 'input': the model needs at least one item.", param="input", code="empty_array")
    return PromptContent(items, messages, [*_tools(earlier), *_tools(new, is_new=True)])


def _tools(items: Sequence[InputItem], *, is_new: bool = False) -> Iterable[AdditionalTool]:
    """Yield the tools that items declare."""
    for at, item in enumerate(items):
        if isinstance(item, AdditionalTools):
            place = f"input[{at}].tools" if is_new else "input"
            yield from ((f"{place}[{number}]" if is_new else place, raw) for number, raw in enumerate(item.tools))


def _find_items(
    responses: ResponseRepository | None, project: str, earlier: Sequence[Item], ids: Sequence[str]
) -> Iterable[Item]:
    """Yield the items with these ids: earlier ones, and those that stored responses wrote."""
    wanted = set(ids)
    yield from (item for item in earlier if item.id in wanted)
    if responses is None:
        return
    for response_id in dict.fromkeys(map(response_id_of, ids)):
        if response_id is not None:
            try:
                yield from responses.get(project, response_id).output
            except NotFound:
                continue


def _read_file(files: FileRepository, project: str, spool: Path, file_id: str) -> bytes:
    """Read an uploaded file. Raises NotFound, and InvalidRequest for one that is too large."""
    file = files.get(project, file_id)
    if file.bytes > MAX_FILE_BYTES:
        raise InvalidRequest(
            f"The file has {file.bytes} bytes; at most {MAX_FILE_BYTES} can be part of an input.", param="input"
        )
    spool.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spool) as folder:
        target = Path(folder) / "content"
        files.copy(file, target)
        return target.read_bytes()
