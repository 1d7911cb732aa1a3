"""The body of completions, its checks, and the engine request that it becomes. Knows no model and no token."""

from typing import Annotated

from homeport.api import validation
from homeport.api.compatibility import served
from homeport.api.prompts import Given, parse_prompts
from homeport.api.text_generation import schema as sampling
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
    """The body. `prompt` is one or many, each text or token ids; without it, the text starts a document."""

    prompt: Annotated[
        Given | None,
        served("A string, token ids, or an array of up to 2048 of either; default: the start of a document."),
    ] = None
    suffix: Annotated[str | None, served("Fill-in-the-middle, on models trained for it; not with `echo`.")] = None
    max_tokens: Annotated[int | None, served("Default 16; 0 only with `echo`.")] = None
    logprobs: Annotated[int | None, served("0 to 5; 0 returns the chosen tokens only, without `top_logprobs`.")] = None
    echo: Annotated[bool | None, served("Returns the prompt too, with `logprobs` also its scores.")] = None
    best_of: Annotated[
        int | None, served("1 to 20, at least `n`; above `n` it cannot be streamed. Ranked by mean log-probability.")
    ] = None

    def check(self) -> None:
        """Check everything that needs no model. Raises InvalidRequest that names the field."""
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
        """Check the body and make the engine request. Raises InvalidRequest."""
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
    """Parse `prompt` in any of its four forms, or its absence. Raises InvalidRequest."""
    return (EmptyPrompt(),) if given is None else parse_prompts("prompt", given, MAX_PROMPTS)
