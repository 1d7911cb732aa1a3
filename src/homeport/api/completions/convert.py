"""From the body of a completions request to the engine request, checks included. Knows no model and no tokens."""

from homeport.api.completions.schema import CompletionBody
from homeport.api.prompts import parse_prompts
from homeport.api.request_context import RequestContext
from homeport.api.text_generation.convert import check_candidates, check_generation, to_sampling, to_stopping
from homeport.api.text_generation.output_format import to_output_format
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.models import ResolvedModel
from homeport.domain.text import EmptyPrompt, InfillPrompt, TextPrompt, TextRequest, TokenPrompt

DEFAULT_MAX_TOKENS = 16
MAX_LOGPROBS = 5
MAX_BEST_OF = 20
MAX_PROMPTS = 2048

PlainPrompt = TextPrompt | TokenPrompt | EmptyPrompt


def to_request(body: CompletionBody, resolved: ResolvedModel, context: RequestContext) -> TextRequest:
    """Make the engine request. Raises InvalidRequest naming the field."""
    _check(body)
    prompts: tuple[PlainPrompt, ...] = (EmptyPrompt(),)
    if body.prompt is not None:
        prompts = parse_prompts("prompt", body.prompt, MAX_PROMPTS)
    best_of = max(body.choices, body.best_of or 1)
    check_candidates(len(prompts), best_of, "best_of" if body.best_of else "n")
    return TextRequest(
        prompts=tuple(InfillPrompt(prompt, body.suffix) for prompt in prompts) if body.suffix else prompts,
        sampling=to_sampling(body),
        stopping=to_stopping(body, DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens),
        n=body.choices,
        best_of=best_of,
        logprobs=body.logprobs,
        echo=bool(body.echo),
        project=context.caller.project,
        encoding=resolved.encoding,
        is_background=context.is_background,
        adapter=resolved.adapter,
        output_format=to_output_format(body),
    )


def _check(body: CompletionBody) -> None:
    check_generation(body)
    validation.check_integer("max_tokens", body.max_tokens, 0 if body.echo else 1, validation.TOKEN_ID_MAX)
    validation.check_integer("logprobs", body.logprobs, 0, MAX_LOGPROBS)
    validation.check_integer("best_of", body.best_of, 1, MAX_BEST_OF)
    if body.best_of is not None and body.choices > body.best_of:
        raise InvalidRequest(
            "You requested that the server return more choices than it will generate (HINT: you must set 'n' "
            f"(currently {body.choices}) to be at most 'best_of' (currently {body.best_of}), or omit either "
            "parameter if you don't specifically want to use them.)",
            param="best_of",
        )
    if body.stream and body.best_of is not None and body.best_of > body.choices:
        raise InvalidRequest(
            f"Results of 'best_of' cannot be streamed: with 'stream', 'best_of' (currently {body.best_of}) "
            f"must not be greater than 'n' (currently {body.choices}).",
            param="best_of",
        )
    if body.suffix and body.echo:
        raise InvalidRequest("'echo' cannot be used together with 'suffix'.", param="echo")
