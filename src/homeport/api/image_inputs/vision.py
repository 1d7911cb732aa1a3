"""Whether the model of a request sees images, and which one does if it does not. Knows nothing of requests' fields."""

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.kinds import VISION
from homeport.domain.models import ResolvedModel
from homeport.domain.ports.models import ModelRegistry

SUGGESTED_MODEL = "smolvlm-256m"
"""The model of the catalogue to install if no installed one sees: the smallest."""


def check_vision(resolved: ResolvedModel, models: ModelRegistry, place: str, kind: str) -> None:
    """Check that a model sees a part. `models`: to choose another one from; `kind`: the part's type.

    Raises InvalidRequest naming `place`.
    """
    if VISION in resolved.model.facts.capabilities:
        return
    own = resolved.served_model.facts.name
    name = excerpt(resolved.requested_name)
    shown = f"`{name}`" if name == own else f"`{name}` (here: `{own}`)"
    other = next((model.facts.name for model in models.models() if VISION in model.facts.capabilities), None)
    advice = (
        f"Use `{other}`, which sees images."
        if other
        else f"No installed model sees images: `homeport pull {SUGGESTED_MODEL}` installs one."
    )
    raise InvalidRequest(
        f"Invalid content type. {kind} is only supported by certain models, and {shown} reads only text. {advice}",
        param=place,
        code="unsupported_content_type",
    )
