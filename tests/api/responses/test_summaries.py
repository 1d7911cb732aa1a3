"""The requests for summaries, and the messages that take the place of what a compaction replaces."""

from pathlib import Path

from homeport.api.image_inputs.collection import ImageSource
from homeport.api.responses.summaries import SUMMARY, context_text, kept_messages, replace_earlier
from homeport.domain.content import Attachment, ImagePart, Message, TextPart, ToolCallPart, ToolResultPart, text_message

SYSTEM, DEVELOPER = text_message("system", "Be brief."), text_message("developer", "Be kind.")
FIRST, LAST = text_message("user", "First"), text_message("user", "Last")
SAID = text_message("assistant", "Said")
CALL = Message("assistant", (TextPart(""), ToolCallPart("c", "add", "{}")))
RESULT = Message("tool", (ToolResultPart("c", "2"),))
OLD = text_message("developer", f"{SUMMARY}old")


def no_source(image: ImagePart) -> ImageSource:
    raise AssertionError("no message has an image")


def no_image(source: ImageSource, detail: str) -> ImagePart:
    raise AssertionError("no message has an image")


def test_a_summary_replaces_what_is_not_the_users_or_developers() -> None:
    """The user's and the developer's messages before a compaction stay, without an earlier summary."""
    earlier = [SYSTEM, OLD, FIRST, SAID, DEVELOPER, LAST, CALL, RESULT]
    new = text_message("developer", f"{SUMMARY}new")
    assert replace_earlier(earlier, "new", no_image) == [SYSTEM, FIRST, DEVELOPER, LAST, new]
    assert replace_earlier([], "new", no_image) == [new]


def test_a_context_replaces_everything() -> None:
    """A compacted context holds instructions and the user's last message, before which its summary stands."""
    kept = kept_messages([SYSTEM, OLD, FIRST, SAID, DEVELOPER, LAST, CALL, RESULT])
    assert kept == [SYSTEM, DEVELOPER, LAST]
    new = text_message("developer", f"{SUMMARY}é")
    text = context_text("é", kept, no_source)
    for earlier in ([], [FIRST, SAID]):
        assert replace_earlier(earlier, text, no_image) == [SYSTEM, DEVELOPER, new, LAST]
    text = context_text("é", kept_messages([SYSTEM, SAID]), no_source)
    assert replace_earlier([FIRST], text, no_image) == [SYSTEM, new]


def test_a_context_holds_images() -> None:
    """The images of the user's last message are part of a compacted context: where they come from, and their detail."""
    source, image = ImageSource(url="u"), ImagePart(Attachment(Path("a")), "low")
    shown = Message("user", (TextPart("Look"), image, TextPart("here")))
    text = context_text("é", [shown], {image: source}.__getitem__)
    summary, again = replace_earlier([], text, lambda given, detail: {(source, "low"): image}[given, detail])
    assert (summary.role, again) == ("developer", shown)


def test_a_sealed_text_of_another_purpose_is_a_summary() -> None:
    """A text that only looks like a compacted context is read as a summary."""
    assert replace_earlier([], "\0[1]", no_image) == [text_message("developer", f"{SUMMARY}\0[1]")]
