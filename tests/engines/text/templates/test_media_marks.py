"""Marks stand for pictures while a conversation is rendered."""

from pathlib import Path

from homeport.domain.content import Attachment, ImagePart, Message, Part, TextPart, ToolCallPart, ToolResultPart
from homeport.domain.text import ChatPrompt
from homeport.engines.text.media.blocks import MediaBlock, MediaContent, media_ids
from homeport.engines.text.templates.chat_template import ChatTemplate
from homeport.engines.text.templates.media_marks import MediaMarks, list_media
from tests.engines.text.fake_executor import FIM_PREFIX, FIM_SUFFIX, IM_END, IM_START, START, FakeExecutor

IMAGE = ImagePart(Attachment(Path("picture.png")))


def content(name: bytes, size: int = 3) -> MediaContent:
    """Return what stands for a picture: a block between two control tokens."""
    return MediaContent(((FIM_PREFIX,), MediaBlock(media_ids(name, size), size), (FIM_SUFFIX,)))


def user(*parts: Part) -> Message:
    """Return a user's message."""
    return Message("user", parts)


def test_pictures_are_where_they_are_in_their_message(fake: FakeExecutor) -> None:
    """The ids of a picture, with what the model's projector puts around them, are at its place in the text."""
    one, two = content(b"one"), content(b"two", 2)
    template = ChatTemplate(fake)
    try:
        prompt = ChatPrompt((user(TextPart("a"), IMAGE, TextPart("b"), IMAGE),))
        rendered = template.render(prompt, None, [one, two])
    finally:
        template.close()
    assert rendered.ids == [
        *(START, IM_START, *b"user\na", *one.ids, *b"b", *two.ids, IM_END),
        *(*b"\n", IM_START, *b"assistant\n"),
    ]
    assert [(place.start, place.block) for place in rendered.media] == [(9, one.blocks[0]), (15, two.blocks[0])]
    assert rendered.text == "<|im_start|>user\nab<|im_end|>\n<|im_start|>assistant\n"


def test_a_message_may_be_a_picture_alone(fake: FakeExecutor) -> None:
    """A message without text is not empty for the template."""
    template = ChatTemplate(fake)
    try:
        rendered = template.render(ChatPrompt((user(IMAGE),)), None, [content(b"one")])
    finally:
        template.close()
    assert len(rendered.media) == 1


def test_marks_are_new_each_time() -> None:
    """The mark of a picture cannot be known before: it has 128 random bits."""
    texts = {MediaMarks([content(b"one")]).mark([user(IMAGE)])[0].text for _ in range(20)}
    assert len(texts) == 20
    assert all(len(text) >= 32 for text in texts)


def test_a_tools_pictures_follow_its_text() -> None:
    """Pictures after a tool's result are marked at the end of that result, in order."""
    calls = Message("assistant", (ToolCallPart("1", "look", "{}"), ToolCallPart("2", "look", "{}")))
    results = Message("tool", (ToolResultPart("1", "one"), IMAGE, IMAGE, ToolResultPart("2", "two"), IMAGE))
    marks = MediaMarks([content(name) for name in (b"a", b"b", b"c")])
    assert list_media([calls, results]) == [IMAGE] * 3
    marked = marks.mark([calls, results])[1].parts
    texts = [part.text for part in marked if isinstance(part, ToolResultPart)]
    assert len(marked) == 2
    assert [marks.remove(text) for text in texts] == ["one", "two"]
    assert [text.count("m0x") + 2 * text.count("m1x") + 4 * text.count("m2x") for text in texts] == [3, 4]
