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

from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.responses.history import to_messages
from homeport.api.responses.item_ids import input_item_id, response_id_of
from homeport.api.responses.item_schema import AdditionalTools, CompactionTrigger, InputItem
from homeport.api.responses.items import from_stored, random_id, read_input, resolve_references, to_stored
from homeport.api.responses.sealed_text import open_sealed
from homeport.api.responses.tools import AdditionalTool
from homeport.api.services import caller, services
from homeport.domain import validation
from homeport.domain.content import Message
from homeport.domain.errors import InvalidRequest, NotFound
from homeport.domain.ports.responses import ConversationRepository, ResponseRepository
from homeport.domain.ports.store import FileRepository
from homeport.domain.responses import Item

MAX_FILE_BYTES = 16_000_000
_SMALL_CHARS = 20_000
"""Shorter texts without items are read on the event loop: a thread would cost more."""


class PromptSource(NamedTuple):
    """What a prompt is made of. `earlier`: the items that precede the input.

    `response_id`: the response to which the input belongs, whose id is part of its items'; None: it belongs to none.
    `compactions`: what the response itself adds to the input.
    """

    instructions: str | None
    input: str | Sequence[msgspec.Raw] | None
    earlier: Sequence[Item] = ()
    response_id: str | None = None
    compactions: Sequence[Item] = ()


class PromptContent(NamedTuple):
    """A prompt. `items`: those of the input, as they are stored; `messages`: all of them; `tools`: those of items.

    `asks_summary`: the input ends with a request to compact it, in place of an answer. `history`: all items that the
    messages are made of, without the response's own compactions. `extend` returns the messages that they are together
    with the items of an output; it may block.
    """

    items: tuple[Item, ...]
    messages: tuple[Message, ...]
    tools: Sequence[AdditionalTool]
    history: Sequence[InputItem]
    extend: Callable[[Sequence[Item]], tuple[Message, ...]]
    asks_summary: bool = False


async def read_prompt(request: Request, source: PromptSource, images: ImageInputs) -> PromptContent:
    """Read the items of a prompt, and make the files of their images.

    Raises InvalidRequest naming the item, NotFound for one that is referred to.
    """
    server, project = services(request), caller(request).project
    find = functools.partial(_find_items, server.responses, server.conversations, project, source.earlier)
    files = functools.partial(_read_file, server.files, project, server.spool) if server.files else None
    arguments = (source, find, functools.partial(open_sealed, server.secret), files, images)
    if isinstance(source.input, str) and not source.earlier and len(source.input) <= _SMALL_CHARS:
        return _read(*arguments)
    content = await asyncio.to_thread(_read, *arguments)
    await images.save()
    return content


def _read(
    source: PromptSource,
    find: Callable[[Sequence[str]], Iterable[Item]],
    open_reasoning: Callable[[str], str | None],
    read_file: Callable[[str], bytes] | None,
    images: ImageInputs,
) -> PromptContent:
    if source.input is None and not source.earlier:
        raise validation.missing("input")
    given = read_input(source.input or [])
    asked = _without_trigger(given)
    new = resolve_references(asked, find)
    items = to_stored(new, new_id=_ids_within(source.response_id))
    earlier = from_stored(source.earlier)
    history = [*earlier, *new]
    read_once = functools.cache(read_file) if read_file else None

    def extend(output: Sequence[Item]) -> tuple[Message, ...]:
        items = [*history, *from_stored(output)]
        return to_messages(
            source.instructions, items, open_reasoning, n_earlier=len(items), read_file=read_once, images=images
        )

    messages = to_messages(
        source.instructions,
        [*history, *from_stored(source.compactions)],
        open_reasoning,
        n_earlier=len(source.earlier),
        read_file=read_once,
        images=images,
    )
    if not messages:
        raise InvalidRequest("Invalid 'input': the model needs at least one item.", param="input", code="empty_array")
    tools = [*_tools(earlier), *_tools(new, is_new=True)]
    return PromptContent(items, messages, tools, history, extend, asks_summary=len(asked) < len(given))


def _without_trigger(items: Sequence[InputItem]) -> Sequence[InputItem]:
    """Return the items without the one that asks for a compaction. Raises InvalidRequest if it is not the last one."""
    for at, item in enumerate(items[:-1]):
        if isinstance(item, CompactionTrigger):
            raise InvalidRequest(
                "An item of type 'compaction_trigger' must be the last one of the input.",
                param=f"input[{at}]",
                code="invalid_value",
            )
    return items[:-1] if items and isinstance(items[-1], CompactionTrigger) else items


def _ids_within(response_id: str | None) -> Callable[[str, int], str]:
    if response_id is None:
        return random_id
    return lambda prefix, index: input_item_id(prefix, response_id, index)


def _tools(items: Sequence[InputItem], *, is_new: bool = False) -> Iterable[AdditionalTool]:
    """Yield the tools that items declare."""
    for at, item in enumerate(items):
        if isinstance(item, AdditionalTools):
            place = f"input[{at}].tools" if is_new else "input"
            yield from ((f"{place}[{number}]" if is_new else place, raw) for number, raw in enumerate(item.tools))


def _find_items(
    responses: ResponseRepository | None,
    conversations: ConversationRepository | None,
    project: str,
    earlier: Sequence[Item],
    ids: Sequence[str],
) -> Iterable[Item]:
    """Yield the items with these ids: of the project's conversations, of its stored responses, and earlier ones.

    Of several items with the same id, the last one that is yielded counts.
    """
    if conversations is not None:
        yield from conversations.find_items(project, ids)
    if responses is not None:
        for response_id in dict.fromkeys(map(response_id_of, ids)):
            if response_id is not None:
                try:
                    response = responses.get(project, response_id)
                except NotFound:
                    continue
                yield from (*response.input, *response.output)
    yield from earlier


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
