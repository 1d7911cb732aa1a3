"""The rules of OpenAI's names for image models, and how a size is read."""

import pytest

from homeport.api.images import model_rules
from homeport.domain.errors import InvalidRequest
from homeport.domain.images import ImageSize
from homeport.models import aliases


def test_every_name_of_openais_has_rules() -> None:
    """What stands for an image model is known to the wire, and nothing else."""
    known = {name for name, found in aliases.built_in().items() if found.kind == "images"}
    assert known == {name for name in known if model_rules.rules_for(name) is not model_rules.rules_for("a-real-name")}
    assert {model_rules.DEFAULT, model_rules.DEFAULT_CURRENT_MODEL} <= known


@pytest.mark.parametrize("name", ["gpt-image-2", "gpt-image-2.5-sunburst", "gpt-6-image-mini", "chatgpt-image-2"])
def test_new_names_have_todays_rules(name: str) -> None:
    """A name of OpenAI's that is newer than this program is held to what its family takes, in any size."""
    rule = model_rules.rules_for(name)
    assert (rule.qualities, rule.sizes) == (("low", "medium", "high", "auto"), ())


@pytest.mark.parametrize("name", ["mine", "homeport-emoji-128", "gpt-image-1", "gpt-image-3", "flux.1-schnell"])
def test_pictures_come_in_the_answer_under_every_name_but_dall_es(name: str) -> None:
    """Only DALL·E's names answer with URLs where nothing is said: many clients fetch none of this machine's."""
    assert model_rules.rules_for(name).response_format == "b64_json"
    assert {model_rules.rules_for(each).response_format for each in ("dall-e-2", "dall-e-3")} == {"url"}


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("dall-e-2", None, ImageSize(1024, 1024)),
        ("dall-e-2", "256*256", ImageSize(256, 256)),
        ("gpt-image-1", None, None),
        ("mine", "64x2048", ImageSize(64, 2048)),
        ("mine", "auto", None),
    ],
)
def test_a_size_is_read(name: str, given: str | None, found: ImageSize | None) -> None:
    """None is the model's own."""
    assert model_rules.size(model_rules.rules_for(name), given) == found


@pytest.mark.parametrize("given", ["", "x", "1024", "0x64", "064x64", "64x63", "64x2049", "2048x2048", "64x64x64"])
def test_a_size_that_cannot_be_is_refused(given: str) -> None:
    """Malformed, too small, too large in an edge, or in all."""
    with pytest.raises(InvalidRequest) as refused:
        model_rules.size(model_rules.rules_for("mine"), given)
    assert refused.value.param == "size"
