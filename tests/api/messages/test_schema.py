"""docs/messages.md says of every field what the code does with it."""

from pathlib import Path

from homeport.api.compatibility import field_notes
from homeport.api.messages.schema import CountTokensBody, MessagesBody

PAGE = Path(__file__).parents[3] / "docs" / "messages.md"


def test_the_page_has_the_note_of_every_field() -> None:
    """Each field has a row with its support and its note, and there are no other rows."""
    rows = [f"| `{each.name}` | {each.support} | {each.note} |" for each in field_notes(MessagesBody)]
    table = PAGE.read_text("utf-8").partition("## Fields")[2].partition("## Blocks")[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows


def test_what_is_counted_is_a_part_of_a_message() -> None:
    """Every field of a count is one of a message, with the same note."""
    assert set(field_notes(CountTokensBody)) < set(field_notes(MessagesBody))
