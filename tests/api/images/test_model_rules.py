"""The rules of OpenAI's names for image models, and how a size is parsed."""

import pytest

from homeport.api.images import model_rules
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageSize
from homeport.models import aliases


def test_every_name_of_openais_has_rules() -> None:
    """Every alias of an image model has rules of its own, and no other name has."""
    known = {name for name, alias in aliases.built_in().items() if alias.kind == "images"}
    assert known == {name for name in known if model_rules.rules_for(name) is not model_rules.rules_for("a-real-name")}
    assert {model_rules.DEFAULT, model_rules.DEFAULT_CURRENT_MODEL} <= known


@pytest.mark.parametrize("name", ["gpt-image-2", "gpt-image-2.5-sunburst", "gpt-6-image-mini", "chatgpt-image-2"])
def test_new_names_have_todays_rules(name: str) -> None:
    """A new name of OpenAI's follows the rules of its family, with any size."""
    rule = model_rules.rules_for(name)
    assert (rule.qualities, rule.sizes) == (("low", "medium", "high", "auto"), ())


@pytest.mark.parametrize("name", ["mine", "homeport-emoji-128", "gpt-image-1", "gpt-image-3", "flux.1-schnell"])
def test_images_are_in_the_answer_except_for_dall_es_names(name: str) -> None:
    """Only DALL·E's names return URLs by default, since many clients do not fetch them."""
    assert model_rules.rules_for(name).response_format == "b64_json"
    assert {model_rules.rules_for(each).response_format for each in ("dall-e-2", "dall-e-3")} == {"url"}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("dall-e-2", None, ImageSize(1024, 1024)),
        ("dall-e-2", "256*256", ImageSize(256, 256)),
        ("gpt-image-1", None, None),
        ("mine", "64x2048", ImageSize(64, 2048)),
        ("mine", "auto", None),
    ],
)
def test_a_size_is_read(name: str, text: str | None, expected: ImageSize | None) -> None:
    """None means the model's own size."""
    assert model_rules.parse_size(model_rules.rules_for(name), text) == expected


@pytest.mark.parametrize("text", ["", "x", "1024", "0x64", "064x64", "64x63", "64x2049", "2048x2048", "64x64x64"])
def test_a_size_that_cannot_be_is_refused(text: str) -> None:
    """Malformed sizes, and sizes too small, too large in one edge or in total, are refused."""
    with pytest.raises(InvalidRequest) as refused:
        model_rules.parse_size(model_rules.rules_for("mine"), text)
    assert refused.value.param == "size"
