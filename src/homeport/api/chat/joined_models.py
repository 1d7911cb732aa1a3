"""The models that a chat joins with its own: one that transcribes what it is sent, one that speaks what it answers.

Which they are depends on what is installed and on what the caller's key may use. Knows nothing of recordings.
"""

from typing import NamedTuple

from starlette.requests import Request

from homeport.api.services import registry
from homeport.domain.errors import Forbidden, HomeportError, InvalidRequest, ModelNotFound
from homeport.domain.models import ResolvedModel

HEARS = "audio_input"
"""What models can do that hear themselves."""


class JoinedModel(NamedTuple):
    """The name whose model is joined, and what it must be able to do."""

    name: str
    capability: str


TRANSCRIBER = JoinedModel("whisper-1", "transcriptions")
SPEAKER = JoinedModel("tts-1", "speech")


def resolve_joined(request: Request, joined: JoinedModel, param: str) -> ResolvedModel:
    """Find a model to join. `param`: the field that asks for it.

    Raises InvalidRequest if it is not installed, with the command that installs it; Forbidden.
    """
    try:
        return registry(request).resolve(*joined)
    except (ModelNotFound, InvalidRequest) as error:
        raise InvalidRequest(
            f"'{param}' needs a model for {joined.capability}. {error.message}",
            param=param,
            code="unsupported_parameter",
        ) from error
    except Forbidden as error:
        raise Forbidden(error.message, param=param, code=error.code) from error


def find_joined(request: Request, joined: JoinedModel) -> str | None:
    """Return the name of the model that `resolve_joined` would find; None if it would raise."""
    try:
        return registry(request).resolve(*joined).served_model.facts.name
    except HomeportError:
        return None
