"""The blocks of messages, of the results of tools, and of documents: texts and images, in their order.

Knows nothing of messages or of tools, and reads no files: images are only registered.
"""

import itertools
from collections.abc import Iterable, Sequence

from homeport.api.image_inputs.collection import ImageInputs, ImagePlace, ImageSource
from homeport.api.messages.schema import ContentBlock, SourceBody, SystemBlock
from homeport.domain import validation
from homeport.domain.content import ImagePart, TextPart
from homeport.domain.errors import InvalidRequest, excerpt

MAX_BLOCKS = 2048
SERVER_BLOCKS = ("server_tool_use", "mcp_tool_use", "mcp_tool_result", "container_upload")
"""Blocks of tools that Anthropic's servers execute; results of others end in `_tool_result`."""

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_FIELDS = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "search_result": ("source", "title", "content"),
    "tool_reference": ("tool_name",),
    "thinking": ("thinking",),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name"),
    "tool_result": ("tool_use_id",),
}
"""The fields that each type of block needs."""
_OPTIONAL = {
    "document": ("title", "context"),
    "thinking": ("signature",),
    "tool_use": ("input",),
    "tool_result": ("content", "is_error"),
}
_CONTENT_FIELDS = tuple(dict.fromkeys(name for names in (*_FIELDS.values(), *_OPTIONAL.values()) for name in names))
_BREAK = "\n\n"
"""What separates the texts of two blocks."""


def check_block(block: ContentBlock, kinds: Sequence[str], place: str) -> None:
    """Check that a block is of one of these types, and has the fields of its type. Raises InvalidRequest naming it."""
    if block.type in SERVER_BLOCKS or (block.type.endswith("_tool_result") and block.type != "tool_result"):
        raise InvalidRequest(
            f"Invalid '{place}.type': '{excerpt(block.type)}' belongs to a tool that Anthropic's servers execute, and "
            "these are not served.",
            param=f"{place}.type",
            code="unsupported_parameter",
        )
    validation.check_choice(f"{place}.type", block.type, kinds)
    known = (*_FIELDS[block.type], *_OPTIONAL.get(block.type, ()))
    for name in _CONTENT_FIELDS:
        value = getattr(block, name)
        if value is None and name in _FIELDS[block.type]:
            raise validation.missing(f"{place}.{name}")
        if value is not None and name not in known:
            raise InvalidRequest(f"A block of type '{block.type}' has no '{name}'.", param=f"{place}.{name}")
    _check_citations(block, place)


def read_instructions(system: str | Sequence[SystemBlock], place: str = "system") -> str:
    """Return the text of instructions. Raises InvalidRequest naming the block."""
    if isinstance(system, str):
        return system
    validation.check_items(place, system, MAX_BLOCKS)
    for at, block in enumerate(system):
        inside = f"{place}[{at}]"
        validation.check_choice(f"{inside}.type", block.type, ("text",))
        if block.text is None:
            raise validation.missing(f"{inside}.text")
    return _BREAK.join(block.text for block in system if block.text)


class BlockReader:
    """Reads the blocks of one conversation. `images` None: images are refused."""

    def __init__(self, images: ImageInputs | None) -> None:
        self._images = images

    def read(self, blocks: Iterable[tuple[ContentBlock, str]]) -> list[TextPart | ImagePart]:
        """Return texts and images of checked blocks, each with its place; texts without an image between them are one.

        Raises InvalidRequest naming the block or its field.
        """
        parts = [part for block, place in blocks for part in self._parts(block, place)]
        read: list[TextPart | ImagePart] = []
        for is_image, group in itertools.groupby(parts, lambda part: isinstance(part, ImagePart)):
            if is_image:
                read += group
            elif text := _BREAK.join(part.text for part in group if isinstance(part, TextPart) and part.text):
                read.append(TextPart(text))
        return read

    def _parts(self, block: ContentBlock, place: str) -> list[TextPart | ImagePart]:
        if block.type == "image":
            return [self._image(block, place)]
        if block.type == "document":
            return self._document(block, place)
        if block.type == "search_result":
            return [_search_result(block, place)]
        return [TextPart((block.text if block.type == "text" else block.tool_name) or "")]

    def _image(self, block: ContentBlock, place: str) -> ImagePart:
        source, inside = _source(block, place), f"{place}.source"
        if self._images is None:
            raise validation.unsupported_field(place, "Images are not read here.")
        validation.check_choice(f"{inside}.type", source.type, ("base64", "url", "file"))
        if block.transformations:
            raise validation.unsupported_field(f"{place}.transformations", "Images are read as they are.")
        field = {"base64": "data", "url": "url", "file": "file_id"}[source.type]
        _check_source(source, (field, "media_type") if field == "data" else (field,), inside)
        if field == "data":
            validation.check_choice(f"{inside}.media_type", source.media_type, _IMAGE_TYPES)
        given = ImageSource(url=source.url or "", file_id=source.file_id or "", data=source.data or "")
        if not any(given):
            raise validation.missing(f"{inside}.{field}")
        return self._images.add(given, ImagePlace(place, "image", f"{inside}.{field}", place))

    def _document(self, block: ContentBlock, place: str) -> list[TextPart | ImagePart]:
        """Return a document below its title and its context."""
        source, inside = _source(block, place), f"{place}.source"
        head = [f"Document {block.title}:" if block.title else "Document:", *filter(None, (block.context,))]
        parts: list[TextPart | ImagePart] = [TextPart("\n".join(head))]
        if source.type == "text":
            _check_source(source, ("data", "media_type"), inside)
            validation.check_choice(f"{inside}.media_type", source.media_type, ("text/plain",))
            return [*parts, TextPart(source.data or "")]
        if source.type == "content":
            _check_source(source, ("content",), inside)
            content, field = source.content or "", f"{inside}.content"
            if isinstance(content, str):
                return [*parts, TextPart(content)]
            return parts + self.read(check_blocks(content, ("text", "image"), field))
        validation.check_choice(f"{inside}.type", source.type, ("text", "content", "base64", "url", "file"))
        raise validation.unsupported_field(
            f"{inside}.type", "Documents are served as text: send their text with source type 'text'."
        )


def check_blocks(blocks: Sequence[ContentBlock], kinds: Sequence[str], place: str) -> list[tuple[ContentBlock, str]]:
    """Check blocks and return each with its place. Raises InvalidRequest naming the block."""
    validation.check_items(place, blocks, MAX_BLOCKS)
    named = [(block, f"{place}[{at}]") for at, block in enumerate(blocks)]
    for block, inside in named:
        check_block(block, kinds, inside)
    return named


def _search_result(block: ContentBlock, place: str) -> TextPart:
    if not isinstance(block.source, str):
        raise InvalidRequest(f"Invalid type for '{place}.source': expected a string.", param=f"{place}.source")
    content = block.content or ""
    if not isinstance(content, str):
        texts = check_blocks(content, ("text",), f"{place}.content")
        content = _BREAK.join(each.text or "" for each, _ in texts)
    return TextPart(f"Search result {block.title} ({block.source}):\n{content}")


def _source(block: ContentBlock, place: str) -> SourceBody:
    if not isinstance(block.source, SourceBody):
        raise InvalidRequest(f"Invalid type for '{place}.source': expected an object.", param=f"{place}.source")
    return block.source


def _check_source(source: SourceBody, names: Sequence[str], place: str) -> None:
    for name in ("media_type", "data", "url", "file_id", "content"):
        value = getattr(source, name)
        if value is None and name in names:
            raise validation.missing(f"{place}.{name}")
        if value is not None and name not in names:
            raise InvalidRequest(f"A source of type '{source.type}' has no '{name}'.", param=f"{place}.{name}")


def _check_citations(block: ContentBlock, place: str) -> None:
    """Refuse citations that are asked for; those of an earlier answer are ignored."""
    if isinstance(block.citations, dict) and block.citations.get("enabled"):
        raise validation.unsupported_field(f"{place}.citations", "Answers cite no documents.")
