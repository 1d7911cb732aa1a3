"""`POST /v1/completions`, and 2023's `/v1/engines/{id}/completions`.

Knows nothing of models or tokens: checks what can be checked without them and passes the rest on.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from homeport.api import validation
from homeport.api.completions.render import CompletionShape
from homeport.api.prompts import Given, inputs
from homeport.api.request_body import apart, read_json
from homeport.api.request_context import note_user
from homeport.api.runner import model_named
from homeport.api.services import caller, registry
from homeport.api.text_generation import schema as sampling
from homeport.api.text_generation.runner import Call, respond
from homeport.domain.errors import InvalidRequest
from homeport.domain.text import DocumentStart, InfillPrompt, TextPrompt, TextRequest, TokenPrompt

MAX_TOKENS = 16
MOST_LOGPROBS = 5
MOST_BEST_OF = 20
MOST_PROMPTS = 2048

Plain = TextPrompt | TokenPrompt | DocumentStart


class CompletionRequest(sampling.Generation, forbid_unknown_fields=True, kw_only=True):
    """The body. `prompt` is one or many, each text or token ids; none means the start of a document."""

    prompt: Given | None = None
    suffix: str | None = None
    logprobs: int | None = None
    echo: bool | None = None
    best_of: int | None = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest naming the field."""
        super().check()
        validation.integer("max_tokens", self.max_tokens, 0 if self.echo else 1, validation.TOKEN_ID_MAX)
        validation.integer("logprobs", self.logprobs, 0, MOST_LOGPROBS)
        validation.integer("best_of", self.best_of, 1, MOST_BEST_OF)
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

    def text_request(self, project: str) -> TextRequest:
        """Check this and turn it into what a text engine is asked for. Raises InvalidRequest."""
        self.check()
        plain = prompts(self.prompt)
        best_of = max(self.choices, self.best_of or 1)
        sampling.candidates(len(plain), best_of, "best_of" if self.best_of else "n")
        return TextRequest(
            prompts=tuple(InfillPrompt(each, self.suffix) for each in plain) if self.suffix else plain,
            sampling=self.sampling(),
            ending=self.ending(MAX_TOKENS if self.max_tokens is None else self.max_tokens),
            n=self.choices,
            best_of=best_of,
            logprobs=self.logprobs,
            echo=bool(self.echo),
            project=project,
        )


def prompts(given: Given | None) -> tuple[Plain, ...]:
    """Read any of the four shapes of `prompt`, or its absence. Raises InvalidRequest."""
    return (DocumentStart(),) if given is None else inputs("prompt", given, MOST_PROMPTS)


async def create(request: Request) -> Response:
    """Complete one or many prompts."""
    body = await read_json(request, CompletionRequest)
    note_user(request.scope, body.user)
    model = model_named(body.model, request.path_params.get("engine"))
    asked = await apart(request, body.text_request, caller(request).project)
    resolved = registry(request).resolve(model, "completions")
    shape = partial(CompletionShape, n=asked.n, top=asked.logprobs, echo=asked.echo, has_usage=body.has_usage)
    call = Call("completions", "cmpl-", resolved, asked, shape, shape if body.stream else None, body.is_padded)
    return await respond(request, call)
