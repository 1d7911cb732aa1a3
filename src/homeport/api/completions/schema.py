"""The body of a completions request."""

from typing import Annotated

from homeport.api.compatibility import served
from homeport.api.prompts import PromptInput
from homeport.api.text_generation.schema import GenerationFields


class CompletionBody(GenerationFields, forbid_unknown_fields=True, kw_only=True):
    """The body. `prompt` is one or many, each text or token ids; none means the start of a document."""

    prompt: Annotated[
        PromptInput | None,
        served("A string, token ids, or an array of up to 2048 of either; default: the start of a document."),
    ] = None
    suffix: Annotated[str | None, served("Fill-in-the-middle, on models trained for it; not with `echo`.")] = None
    max_tokens: Annotated[int | None, served("Default 16; 0 only with `echo`.")] = None
    logprobs: Annotated[int | None, served("0 to 5; 0 returns the chosen tokens only, without `top_logprobs`.")] = None
    echo: Annotated[bool | None, served("Returns the prompt too, with `logprobs` also its scores.")] = None
    best_of: Annotated[
        int | None, served("1 to 20, at least `n`; above `n` it cannot be streamed. Ranked by mean log-probability.")
    ] = None
