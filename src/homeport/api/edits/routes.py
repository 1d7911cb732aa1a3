"""`POST /v1/edits`, and 2023's `/v1/engines/{id}/edits`: a text rewritten as an instruction says.

Knows nothing of how a model is made to do it.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import validation
from homeport.api.edits.render import EditRenderer
from homeport.api.request_body import apart, read_json
from homeport.api.runner import require_model_name
from homeport.api.services import caller, registry
from homeport.api.text_generation.runner import TextCall, run_text_call
from homeport.domain.text import EditPrompt, SamplingParams, TextRequest

MAX_EDITS = 20
CANDIDATES_PER_EDIT = 3
"""Candidates drawn for each edit that is sampled; the likeliest are given.

OpenAI's default temperature of 1 fits a large model. A small one, drawn once, spoils one edit of five; of three draws
the best one is right far more often, and the prompt is computed once for all of them.
"""


class EditBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body."""

    instruction: str
    model: str | None = None
    input: str | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        validation.check_integer("n", self.n, 1, MAX_EDITS)
        validation.check_number("temperature", self.temperature, 0, 2)
        validation.check_number("top_p", self.top_p, 0, 1)

    def to_request(self, project: str) -> TextRequest:
        """Check this and turn it into what a text engine is asked for. Raises InvalidRequest."""
        self.check()
        n = 1 if self.n is None else self.n
        temperature = 1.0 if self.temperature is None else self.temperature
        return TextRequest(
            prompts=(EditPrompt(self.input or "", self.instruction),),
            sampling=SamplingParams(
                temperature=temperature,
                top_p=1.0 if self.top_p is None else self.top_p,
            ),
            n=n,
            best_of=n * CANDIDATES_PER_EDIT if temperature else n,
            project=project,
        )


async def create(request: Request) -> Response:
    """Edit a text."""
    body = await read_json(request, EditBody)
    model = require_model_name(body.model, request.path_params.get("engine"))
    asked = await apart(request, body.to_request, caller(request).project)
    resolved = registry(request).resolve(model, "edits")
    return await run_text_call(request, TextCall("edits", "edit-", resolved, asked, EditRenderer))
