"""The table of fields of what makes a batch."""

import json
from pathlib import Path

import msgspec

from homeport.api.batches.fields import FIELDS
from homeport.api.batches.routes import BatchBody

SPEC = json.loads((Path(__file__).parents[2] / "contract" / "data" / "fields.json").read_text("utf-8"))


def test_every_field_of_the_document_is_in_the_table() -> None:
    """What OpenAI's document names is in the table, and the table names what the body reads, and nothing else."""
    table = {field.name for field in FIELDS["batches"] if "." not in field.name}
    named = set(SPEC["openai-latest"]["batches"])
    assert table == named == {field.name for field in msgspec.structs.fields(BatchBody)}
