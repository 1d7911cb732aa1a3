"""`POST /v1/completions`, and 2023's `/v1/engines/{id}/completions`.

Knows nothing of models or tokens: checks what can be checked without them and passes the rest on.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import validation
from homeport.api.completions.render import CompletionRenderer
from homeport.api.prompts import Given, parse_prompts
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import require_model_name
from homeport.api.services import caller, registry
from homeport.api.text_generation import schema as sampling
from homeport.api.text_generation.runner import TextCall, run_text_call
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import (
    EmptyPrompt,
    InfillPrompt,
    TextPrompt,
    TextRequest,
    TokenPrompt,
)

DEFAULT_MAX_TOKENS = 16
MAX_LOGPROBS = 5
MAX_BEST_OF = 20
MAX_PROMPTS = 2048

PlainPrompt = TextPrompt | TokenPrompt | EmptyPrompt


class CompletionBody(sampling.GenerationFields, forbid_unknown_fields=True, kw_only=True):
    """The body. `prompt` is one or many, each text or token ids; none means the start of a document."""

    prompt: Given | None = None
    suffix: str | None = None
    logprobs: int | None = None
    echo: bool | None = None
    best_of: int | None = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        super().check()
        validation.check_integer("max_tokens", self.max_tokens, 0 if self.echo else 1, validation.TOKEN_ID_MAX)
        validation.check_integer("logprobs", self.logprobs, 0, MAX_LOGPROBS)
        validation.check_integer("best_of", self.best_of, 1, MAX_BEST_OF)
        if self.best_of is not None and self.choices > self.best_of:
            raise InvalidRequest(
                "You requested that the server return more choices than it will generate (HINT: you must set 'n' "
                f"(currently {self.choices}) to be at most 'best_of' (currently {self.best_of}), or omit either "
                "parameter if you don't specifically want to use them.)",
                param="best_of",
            )
        if self.stream and self.best_of is not None and self.best_of > self.choices:
            raise InvalidRequest(
                f"Results of 'best_of' cannot be streamed: with 'stream', 'best_of' (currently {self.best_of}) "
                f"must not be greater than 'n' (currently {self.choices}).",
                param="best_of",
            )
        if self.suffix and self.echo:
            raise InvalidRequest("'echo' cannot be used together with 'suffix'.", param="echo")

    def to_request(self, project: str) -> TextRequest:
        """Check this and turn it into what a text engine is asked for. Raises InvalidRequest."""
        self.check()
        plain = completion_prompts(self.prompt)
        best_of = max(self.choices, self.best_of or 1)
        sampling.check_candidates(len(plain), best_of, "best_of" if self.best_of else "n")
        return TextRequest(
            prompts=tuple(InfillPrompt(each, self.suffix) for each in plain) if self.suffix else plain,
            sampling=self.sampling_params(),
            stopping=self.stopping_criteria(DEFAULT_MAX_TOKENS if self.max_tokens is None else self.max_tokens),
            n=self.choices,
            best_of=best_of,
            logprobs=self.logprobs,
            echo=bool(self.echo),
            project=project,
        )


def completion_prompts(given: Given | None) -> tuple[PlainPrompt, ...]:
    """Read any of the four shapes of `prompt`, or its absence. Raises InvalidRequest."""
    return (EmptyPrompt(),) if given is None else parse_prompts("prompt", given, MAX_PROMPTS)


async def create(request: Request) -> Response:
    """Complete one or many prompts."""
    body = await read_json(request, CompletionBody)
    note_user(request.scope, body.user)
    model = require_model_name(body.model, request.path_params.get("engine"))
    asked = await apart(request, body.to_request, caller(request).project)
    resolved = registry(request).resolve(model, "completions")
    shape = partial(CompletionRenderer, n=asked.n, top=asked.logprobs, echo=asked.echo, has_usage=body.has_usage)
    call = TextCall("completions", "cmpl-", resolved, asked, shape, shape if body.stream else None, body.is_padded)
    return await run_text_call(request, call)
