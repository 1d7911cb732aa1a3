"""The table of image fields, held against the published specs and against what the endpoints take."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.api.images.fields import FIELDS
from homeport.api.images.schema import ImageEditBody, ImageGenerationBody, ImageVariationForm

SPECS: dict[str, dict[str, dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "contract" / "data" / "fields.json").read_text("utf-8")
)
BODIES: dict[str, tuple[type[msgspec.Struct], tuple[str, ...]]] = {
    "images": (ImageGenerationBody, ()),
    "image_edits": (ImageEditBody, ("image",)),
    "image_variations": (ImageVariationForm, ("image",)),
}
"""The struct with most fields, and the files of a form that it does not hold."""


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("endpoint", FIELDS)
def test_every_published_field_is_decided(spec: str, endpoint: str) -> None:
    """No property of either generation of the spec is missing from the table."""
    published = set(SPECS[spec][endpoint])
    assert published
    assert published <= {field.name for field in FIELDS[endpoint]}


@pytest.mark.parametrize("endpoint", FIELDS)
def test_the_table_and_the_bodies_agree(endpoint: str) -> None:
    """Every field of a body is in the table, once, and the other way round."""
    body, files = BODIES[endpoint]
    assert sorted([*files, *body.__struct_fields__]) == sorted(field.name for field in FIELDS[endpoint])
