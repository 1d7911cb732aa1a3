"""The tables of fields of the endpoints that keep files."""

import json
from pathlib import Path

import msgspec
import pytest

from homeport.api.files.fields import FIELDS
from homeport.api.files.routes import FileForm
from homeport.api.uploads.routes import UploadBody

SPEC = json.loads((Path(__file__).parents[2] / "contract" / "data" / "fields.json").read_text("utf-8"))


@pytest.mark.parametrize(("endpoint", "body"), [("files", FileForm), ("uploads", UploadBody)])
def test_every_field_of_the_documents_is_in_the_table(endpoint: str, body: type[msgspec.Struct]) -> None:
    """What OpenAI's documents name is in the table, and the table names what the bodies read, and nothing else."""
    table = {field.name for field in FIELDS[endpoint] if "." not in field.name}
    named = {name for year in SPEC.values() for name in year.get(endpoint, {})}
    read = {field.name for field in msgspec.structs.fields(body)}
    assert table == named == read | ({"file"} if endpoint == "files" else set())
