"""From the body of an edits request to the engine request, checks included. Knows no model."""

from homeport.api.edits.schema import EditBody
from homeport.api.request_context import RequestContext
from homeport.domain import validation
from homeport.domain.models import ResolvedModel
from homeport.domain.text import EditPrompt, SamplingParams, TextRequest

MAX_EDITS = 20
CANDIDATES_PER_EDIT = 3
"""Candidates generated for each edit that is sampled; the likeliest are returned.

OpenAI's default temperature of 1 fits a large model. A small one spoils one edit of five if it samples only once; the
best of three samples is right far more often, and the prompt is computed once for all of them.
"""


def to_request(body: EditBody, resolved: ResolvedModel, context: RequestContext) -> TextRequest:
    """Make the engine request. Raises InvalidRequest naming the field."""
    validation.check_integer("n", body.n, 1, MAX_EDITS)
    validation.check_number("temperature", body.temperature, 0, 2)
    validation.check_number("top_p", body.top_p, 0, 1)
    n = 1 if body.n is None else body.n
    temperature = 1.0 if body.temperature is None else body.temperature
    return TextRequest(
        prompts=(EditPrompt(body.input or "", body.instruction),),
        sampling=SamplingParams(temperature=temperature, top_p=1.0 if body.top_p is None else body.top_p),
        n=n,
        best_of=n * CANDIDATES_PER_EDIT if temperature else n,
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
    )
