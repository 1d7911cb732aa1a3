"""The body of edits, its checks, and the engine request that it becomes. Knows no model."""

from typing import Annotated

import msgspec

from homeport.api import validation
from homeport.api.compatibility import MODEL, served
from homeport.domain.text import EditPrompt, SamplingParams, TextRequest

MAX_EDITS = 20
CANDIDATES_PER_EDIT = 3
"""Candidates generated for each edit if the temperature is above 0; the most likely are returned.

OpenAI's default temperature of 1 fits a large model. A small model fails at one edit in five if it samples once. The
best of three samples is right far more often, and the prompt is computed once for all three.
"""


class EditBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body."""

    model: Annotated[str | None, MODEL] = None
    input: Annotated[
        str | None,
        served("The text to edit; default empty. An edit has at most 512 tokens plus twice those of the input."),
    ] = None
    instruction: Annotated[str, served("What to do with the text.")]
    n: Annotated[int | None, served("1 to 20.")] = None
    temperature: Annotated[
        float | None,
        served("0 to 2; above 0, three candidates are generated per edit and the most likely is returned."),
    ] = None
    top_p: Annotated[float | None, served("0 to 1.")] = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
        validation.check_integer("n", self.n, 1, MAX_EDITS)
        validation.check_number("temperature", self.temperature, 0, 2)
        validation.check_number("top_p", self.top_p, 0, 1)

    def to_request(self, project: str) -> TextRequest:
        """Check the body and make the engine request. Raises InvalidRequest."""
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
